import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("filters go to list_deliveries with their types", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_deliveries", { status: 200, body: { "items": [], "next": null } });

  const response = await it.ask(
    "GET",
    "/deliveries?endpoint_id=22222222-2222-4222-8222-222222222222&run_id=12&state=DEAD",
  );

  deepStrictEqual([200, { "items": [], "next": null }], [response.status, await response.json()]);
  deepStrictEqual(
    { "endpoint_id": "22222222-2222-4222-8222-222222222222", "run_id": 12, "state": "DEAD" },
    it.fake.last("list_deliveries").json,
  );
});
