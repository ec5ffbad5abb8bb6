import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../testing.ts";

Deno.test("the window goes to slo", async () => {
  await using it = new Rehearsal();
  it.fake.on("slo", { status: 200, body: { "success_rate": 1 } });

  const response = await it.ask("GET", "/slo?window_hours=24");

  deepStrictEqual([200, { "success_rate": 1 }], [response.status, await response.json()]);
  deepStrictEqual({ "window_hours": 24 }, it.fake.last("slo").json);
});
