import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a range goes to replay_deliveries as it came", async () => {
  await using it = new Rehearsal();
  it.fake.on("replay_deliveries", { status: 202, body: { "count": 3 } });

  const response = await it.ask("POST", "/deliveries/replay", {
    body: { "endpoint_id": "22222222-2222-4222-8222-222222222222" },
  });

  deepStrictEqual([202, { "count": 3 }], [response.status, await response.json()]);
  deepStrictEqual(
    { "endpoint_id": "22222222-2222-4222-8222-222222222222" },
    it.fake.last("replay_deliveries").json,
  );
});
