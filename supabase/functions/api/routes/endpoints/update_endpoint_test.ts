import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal, someId } from "../../testing.ts";

Deno.test("what changes goes to update_endpoint with the endpoint of the path", async () => {
  await using it = new Rehearsal();
  it.fake.on("update_endpoint", { status: 200, body: { "ok": true } });

  const response = await it.ask("PATCH", `/endpoints/${someId}`, { body: { enabled: true } });

  deepStrictEqual([200, { "ok": true }], [response.status, await response.json()]);
  deepStrictEqual({ endpoint_id: someId, enabled: true }, it.fake.last("update_endpoint").json);
});
