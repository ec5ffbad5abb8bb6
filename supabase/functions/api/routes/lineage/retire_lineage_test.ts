import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("an edge is retired with a reason", async () => {
  await using it = new Rehearsal();
  it.fake.on("retire_lineage", { status: 200, body: {} });

  const { status } = await it.ask("POST", "/lineage/retire", { body: { job: "job:n:j", reason: "wrong" } });

  deepStrictEqual([200, { job: "job:n:j", reason: "wrong" }], [status, it.fake.last("retire_lineage").json]);
});
