import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("events are read from where one stopped", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_events", { status: 200, body: { "items": [], "next": "812.44" } });

  const response = await it.ask("GET", "/events?after=812.44&limit=5");

  deepStrictEqual([200, { "items": [], "next": "812.44" }], [response.status, await response.json()]);
  deepStrictEqual({ "after": "812.44", "limit": 5 }, it.fake.last("list_events").json);
});
