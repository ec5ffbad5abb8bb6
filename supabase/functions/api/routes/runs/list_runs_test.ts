import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("filters go to list_runs with their types", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_runs", { status: 200, body: { "items": [], "next": null } });

  const response = await it.ask("GET", "/runs?state=FAILED&job_id=5&job_type=spark_etl&limit=1000");

  deepStrictEqual([200, { "items": [], "next": null }], [response.status, await response.json()]);
  deepStrictEqual(
    { "state": "FAILED", "job_id": 5, "job_type": "spark_etl", "limit": 1000 },
    it.fake.last("list_runs").json,
  );
});
