import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("known query keys go to list_jobs, others are ignored", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_jobs", { status: 200, body: { "items": [], "next": null } });

  const response = await it.ask("GET", "/jobs?limit=10&cursor=c&apikey=x");

  deepStrictEqual([200, { "items": [], "next": null }], [response.status, await response.json()]);
  deepStrictEqual({ "limit": 10, "cursor": "c" }, it.fake.last("list_jobs").json);
});

Deno.test("who turns pages by offset is Marquez's web UI, and gets jobs in its form", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_jobs", { status: 200, body: { "jobs": [], "totalCount": 0 } });

  const response = await it.ask("GET", "/jobs?limit=10&offset=0&lastRunStates=FAILED");

  deepStrictEqual([200, { "jobs": [], "totalCount": 0 }], [response.status, await response.json()]);
  deepStrictEqual({ "limit": 10, "offset": 0, "lastRunStates": "FAILED" }, it.fake.last("marquez_jobs").json);
});
