import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a job is asked for by its name", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_jobs", { status: 200, body: {} });

  deepStrictEqual(200, (await it.ask("GET", "/namespaces/n/jobs/daily%20orders")).status);
  deepStrictEqual({ "namespace": "n", "job": "daily orders" }, it.fake.last("marquez_jobs").json);
});
