import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { accessToken, Rehearsal, someId, tenantId, token } from "../../testing.ts";

const exchanged = {
  tenant_id: tenantId,
  user_id: "machine",
  role: "viewer",
  token_id: someId,
  expires_at: null,
};

Deno.test("an access token is exchanged for a JWT that works here", async () => {
  await using it = new Rehearsal();
  it.fake.on("exchange_token", { status: 200, body: exchanged });
  it.fake.on("get_run", { status: 200, body: {} });

  const response = await it.ask("POST", "/tokens", { bearer: accessToken });

  const { access_token, expires_in, ...rest } = await response.json();
  deepStrictEqual([200, "bearer", "viewer", tenantId], [
    response.status,
    rest.token_type,
    rest.role,
    rest.tenant_id,
  ]);
  ok(expires_in > 590 && expires_in <= 600);
  strictEqual(200, (await it.ask("GET", "/runs/1", { bearer: access_token })).status);
});

Deno.test("an access token works as a bearer everywhere, as the member behind it", async () => {
  await using it = new Rehearsal();
  it.fake.on("exchange_token", { status: 200, body: exchanged });
  it.fake.on("get_run", { status: 200, body: {} });

  strictEqual(200, (await it.ask("GET", "/runs/1", { bearer: accessToken })).status);
  const authority = it.fake.last("get_run").headers.get("authorization") ?? "";
  ok(authority.startsWith("Bearer ey") && !authority.includes(accessToken));
});

Deno.test("with a JWT a new access token is created, once shown", async () => {
  await using it = new Rehearsal();
  const created = { token_id: someId, token: "cr_new" };
  it.fake.on("create_token", { status: 201, body: created });
  const body = { name: "ci", role: "operator" };

  const response = await it.ask("POST", "/tokens", { body, bearer: await token({ role: "admin" }) });

  deepStrictEqual([201, created], [response.status, await response.json()]);
  deepStrictEqual(body, it.fake.last("create_token").json);
});

Deno.test("with an access token none is created: the database is asked, and refuses", async () => {
  await using it = new Rehearsal();
  it.fake.on("exchange_token", { status: 200, body: exchanged });
  const refusal = { code: "ROLE_INSUFFICIENT", message: "", details: null, hint: null };
  it.fake.on("create_token", { status: 403, body: refusal });

  const response = await it.ask("POST", "/tokens", { body: { name: "ci" }, bearer: accessToken });

  deepStrictEqual([403, refusal], [response.status, await response.json()]);
});

Deno.test("a revoked access token is refused", async () => {
  await using it = new Rehearsal();
  const body = { code: "TOKEN_INVALID", message: "", details: null, hint: null };
  it.fake.on("exchange_token", { status: 401, body });

  const response = await it.ask("POST", "/tokens", { bearer: accessToken });

  deepStrictEqual([401, body], [response.status, await response.json()]);
});
