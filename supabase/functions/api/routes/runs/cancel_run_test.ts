import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a run is cancelled without a body", async () => {
  await using it = new Rehearsal();
  it.fake.on("cancel_run", { status: 202, body: { "ok": true } });

  const response = await it.ask("POST", "/runs/12/cancel");

  deepStrictEqual([202, { "ok": true }], [response.status, await response.json()]);
  deepStrictEqual({ "run_id": 12 }, it.fake.last("cancel_run").json);
});
