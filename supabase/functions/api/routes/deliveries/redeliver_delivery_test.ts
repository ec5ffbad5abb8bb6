import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the delivery of the path is due again", async () => {
  await using it = new Rehearsal();
  it.fake.on("redeliver_delivery", { status: 202, body: { "ok": true } });

  const response = await it.ask("POST", "/deliveries/9/redeliver");

  deepStrictEqual([202, { "ok": true }], [response.status, await response.json()]);
  deepStrictEqual({ "delivery_id": 9 }, it.fake.last("redeliver_delivery").json);
});
