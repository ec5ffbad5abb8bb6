import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the run of the path is asked for, and its own url becomes absolute", async () => {
  await using it = new Rehearsal();
  const theirs = '"params": {"url": "/functions/v1/api/v1/runs/12"}, "run_id": 9007199254740993}';
  it.fake.on("get_run", {
    status: 200,
    body: `{"url": "/functions/v1/api/v1/runs/9007199254740993", ${theirs}`,
  });

  const response = await it.ask("GET", "/runs/9007199254740993");

  strictEqual(
    `{"url": "https://control.example/functions/v1/api/v1/runs/9007199254740993", ${theirs}`,
    await response.text(),
  );
  strictEqual('{"run_id":9007199254740993}', it.fake.last("get_run").text);
});

Deno.test("a run that is not there is the database's 404", async () => {
  await using it = new Rehearsal();
  const body = { code: "RUN_NOT_FOUND", message: "", details: null, hint: null };
  it.fake.on("get_run", { status: 404, body });

  const response = await it.ask("GET", "/runs/12");

  deepStrictEqual([404, body], [response.status, await response.json()]);
});
