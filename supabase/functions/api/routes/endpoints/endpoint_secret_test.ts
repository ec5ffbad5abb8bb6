import { deepStrictEqual } from "node:assert/strict";
import { webhookSecret } from "../../../_shared/webhook_secret.ts";
import { Rehearsal, someId, token } from "../../testing.ts";

const admin = async () => await token({ role: "admin" });

Deno.test("an admin reads the secret of the endpoint's present version", async () => {
  await using it = new Rehearsal();
  it.fake.on("get_endpoint", { status: 200, body: { endpoint_id: someId, secret_version: 2 } });

  const response = await it.ask("GET", `/endpoints/${someId}/secret`, { bearer: await admin() });

  const secret = await webhookSecret("test-master-key", someId, 2);
  deepStrictEqual([200, { endpoint_id: someId, secret_version: 2, secret }], [
    response.status,
    await response.json(),
  ]);
});

Deno.test("whom the database refuses gets no secret", async () => {
  await using it = new Rehearsal();
  const body = { code: "ROLE_INSUFFICIENT", message: "", details: null, hint: null };
  it.fake.on("get_endpoint", { status: 403, body });

  const response = await it.ask("GET", `/endpoints/${someId}/secret`);

  deepStrictEqual([403, body], [response.status, await response.json()]);
});

Deno.test("without a master key the route says what is missing", async () => {
  await using it = new Rehearsal({ masterKey: undefined });

  const response = await it.ask("GET", `/endpoints/${someId}/secret`, { bearer: await admin() });

  deepStrictEqual([501, "CONTROL_ROOM_MASTER_KEY"], [response.status, (await response.json()).details]);
});
