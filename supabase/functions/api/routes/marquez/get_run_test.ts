import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a run is asked for by the id that its events name", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_run", { status: 200, body: {} });

  deepStrictEqual(200, (await it.ask("GET", "/jobs/runs/11111111-1111-4111-8111-111111111111")).status);
  deepStrictEqual({ "run": "11111111-1111-4111-8111-111111111111" }, it.fake.last("marquez_run").json);
});
