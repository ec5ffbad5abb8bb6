import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("runs of a job are asked for page by page", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_runs", { status: 200, body: {} });

  deepStrictEqual(200, (await it.ask("GET", "/namespaces/n/jobs/j/runs?limit=10&offset=0")).status);
  deepStrictEqual(
    { "limit": 10, "offset": 0, "namespace": "n", "job": "j" },
    it.fake.last("marquez_runs").json,
  );
});
