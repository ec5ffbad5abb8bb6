import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { webhookSecret } from "../../../_shared/webhook_secret.ts";
import { Rehearsal, someId, token } from "../../rehearsal.ts";

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

for (const role of ["viewer", "operator"]) {
  Deno.test(`${role}s do not`, async () => {
    await using it = new Rehearsal();

    const response = await it.ask("GET", `/endpoints/${someId}/secret`, { bearer: await token({ role }) });

    deepStrictEqual([403, "ROLE_INSUFFICIENT"], [response.status, (await response.json()).code]);
    strictEqual(0, it.fake.seen.length);
  });
}

Deno.test("without a master key the route says what is missing", async () => {
  await using it = new Rehearsal({ masterKey: undefined });

  const response = await it.ask("GET", `/endpoints/${someId}/secret`, { bearer: await admin() });

  deepStrictEqual([501, "CONTROL_ROOM_MASTER_KEY"], [response.status, (await response.json()).details]);
});
