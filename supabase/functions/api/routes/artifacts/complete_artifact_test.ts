import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the version of the body is completed", async () => {
  await using it = new Rehearsal();
  it.fake.on("complete_artifact", { status: 202, body: { "ok": true } });

  const response = await it.ask("POST", "/artifacts/22222222-2222-4222-8222-222222222222/complete", {
    body: { "version": 2 },
  });

  deepStrictEqual([202, { "ok": true }], [response.status, await response.json()]);
  deepStrictEqual(
    { "version": 2, "artifact_id": "22222222-2222-4222-8222-222222222222" },
    it.fake.last("complete_artifact").json,
  );
});
