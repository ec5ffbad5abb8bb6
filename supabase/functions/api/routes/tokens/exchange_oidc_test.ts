import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { claims, pair, signed } from "../../../_shared/fake_issuer.ts";
import * as stage from "../../testing.ts";

const rsa = await pair("RS256", "rsa-1");

const admitted = {
  tenant_id: stage.tenantId,
  user_id: "oidc:1",
  role: "operator",
  token_id: stage.someId,
  trust_id: stage.someId,
  expires_in: 900,
};

Deno.test("an issuer's token becomes a short JWT that works here, by a signature and not by the body", async () => {
  await using it = new stage.Rehearsal();
  it.fake.issuerKeys = { keys: [rsa.jwk] };
  it.fake.on("exchange_assertion", { status: 200, body: { ...admitted, expires_at: null } });
  it.fake.on("get_run", { status: 200, body: {} });
  const told = claims(it);
  const body = { token: await signed(rsa, told), tenant: "acme", role: "operator" };

  const response = await it.ask("POST", "/tokens/oidc", { body, bearer: null });

  const { access_token, ...rest } = await response.json();
  deepStrictEqual([200, "bearer", "operator", 900], [
    response.status,
    rest.token_type,
    rest.role,
    rest.expires_in,
  ]);
  strictEqual(200, (await it.ask("GET", "/runs/1", { bearer: access_token })).status);
  const asked = it.fake.last("exchange_assertion");
  deepStrictEqual({ tenant: "acme", role: "operator" }, asked.json);
  const ours = (asked.headers.get("authorization") ?? "").slice("Bearer ".length);
  const vouchedFor = JSON.parse(Buffer.from(ours.split(".")[1] as string, "base64url").toString());
  deepStrictEqual(["anon", told.jti], [vouchedFor.role, vouchedFor.assertion.jti]);
  ok(vouchedFor.exp - vouchedFor.iat <= 30);
  strictEqual(401, (await it.ask("GET", "/runs/1", { bearer: ours })).status);
});

Deno.test("what the database says of an issuer's token is passed on", async () => {
  await using it = new stage.Rehearsal();
  it.fake.issuerKeys = { keys: [rsa.jwk] };
  const body = { code: "OIDC_TOKEN_SPENT", message: "", details: null, hint: null };
  it.fake.on("exchange_assertion", { status: 409, body });
  const asked = { token: await signed(rsa, claims(it)), tenant: "acme" };

  const response = await it.ask("POST", "/tokens/oidc", { body: asked, bearer: null });

  deepStrictEqual([409, body], [response.status, await response.json()]);
});

for (
  const body of [{}, { token: 7, tenant: "a" }, { token: "x" }, { token: "x", tenant: "a", role: 7 }, {
    token: "x",
    tenant: "a",
    assertion: {},
  }]
) {
  Deno.test(`the exchange is refused without asking anybody: ${JSON.stringify(body)}`, async () => {
    await using it = new stage.Rehearsal();

    const response = await it.ask("POST", "/tokens/oidc", { body, bearer: null });

    deepStrictEqual([400, 0], [response.status, it.fake.seen.length]);
  });
}
