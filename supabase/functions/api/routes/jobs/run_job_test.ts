import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Rehearsal, token } from "../../testing.ts";

const submission =
  '{"job_type": "spark_etl", "spec": "Ünïcode", "params": {"big": 9007199254740993, "exact": 1.10}}';

Deno.test("a submission reaches run_job digit by digit, with the caller's own token", async () => {
  await using it = new Rehearsal();
  it.fake.on("run_job", { status: 202, body: { run_id: 12, state: "QUEUED", url: "/api/v1/runs/12" } });
  const bearer = await token();

  const response = await it.ask("POST", "/jobs/run", { body: submission, bearer });

  strictEqual(202, response.status);
  const { text, headers } = it.fake.last("run_job");
  deepStrictEqual([submission, `Bearer ${bearer}`], [text, headers.get("authorization")]);
});

for (const [status, url] of [[202, "/api/v1/runs/9007199254740993"], [200, null]] as const) {
  Deno.test(`a ${status} of the database keeps its status and gets the absolute address`, async () => {
    await using it = new Rehearsal();
    const body = `{"url": ${JSON.stringify(url)}, "state": "QUEUED", "run_id": 9007199254740993}`;
    it.fake.on("run_job", { status, body });

    const response = await it.ask("POST", "/jobs/run", { body: submission });

    strictEqual(status, response.status);
    const expected = "https://control.example/functions/v1/api/v1/runs/9007199254740993";
    strictEqual(
      `{"url": "${expected}", "state": "QUEUED", "run_id": 9007199254740993}`,
      await response.text(),
    );
  });
}

Deno.test("what the database refuses is refused in its words", async () => {
  await using it = new Rehearsal();
  const body = { code: "JOB_TYPE_UNKNOWN", message: "m", details: null, hint: "h" };
  it.fake.on("run_job", { status: 400, body });

  const response = await it.ask("POST", "/jobs/run", { body: { job_type: "x" } });

  deepStrictEqual([400, body], [response.status, await response.json()]);
});
