import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("each run of the answer gets its absolute address", async () => {
  await using it = new Rehearsal();
  const runs = [1, 2].map((id) => ({ url: `/runs/${id}`, state: "QUEUED", run_id: id }));
  it.fake.on("submit_runs", { status: 202, body: runs });

  const response = await it.ask("POST", "/runs", { body: [{ job_id: 1 }, { job_id: 2 }] });

  deepStrictEqual(
    [
      "https://control.example/functions/v1/api/v1/runs/1",
      "https://control.example/functions/v1/api/v1/runs/2",
    ],
    (await response.json()).map((run: { url: string }) => run.url),
  );
  deepStrictEqual([{ job_id: 1 }, { job_id: 2 }], it.fake.last("submit_runs").json);
});

Deno.test("an object is no array", async () => {
  await using it = new Rehearsal();

  strictEqual(400, (await it.ask("POST", "/runs", { body: { job_id: 1 } })).status);
});
