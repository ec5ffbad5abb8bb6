import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("jobs of a namespace are asked for by the state of their latest run", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_jobs", { status: 200, body: {} });

  deepStrictEqual(
    200,
    (await it.ask("GET", "/namespaces/n/jobs?limit=25&offset=0&lastRunStates=FAILED")).status,
  );
  deepStrictEqual(
    { "limit": 25, "offset": 0, "lastRunStates": "FAILED", "namespace": "n" },
    it.fake.last("marquez_jobs").json,
  );
});
