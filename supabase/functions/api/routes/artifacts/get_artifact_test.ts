import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the artifact of the path is asked for", async () => {
  await using it = new Rehearsal();
  it.fake.on("get_artifact", { status: 200, body: { "ok": true } });

  const response = await it.ask("GET", "/artifacts/22222222-2222-4222-8222-222222222222");

  deepStrictEqual([200, { "ok": true }], [response.status, await response.json()]);
  deepStrictEqual(
    { "artifact_id": "22222222-2222-4222-8222-222222222222" },
    it.fake.last("get_artifact").json,
  );
});
