import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the network of the path is closed", async () => {
  await using it = new Rehearsal();
  it.fake.on("disallow_network", { status: 200, body: { "ok": true } });

  const response = await it.ask("DELETE", "/callback-networks/3");

  deepStrictEqual([200, { "ok": true }], [response.status, await response.json()]);
  deepStrictEqual({ "network_id": 3 }, it.fake.last("disallow_network").json);
});
