import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal, someId } from "../../testing.ts";

Deno.test("what is to change goes to the database as it was sent, with the id of the path", async () => {
  await using it = new Rehearsal();
  it.fake.on("update_artifact", { status: 200, body: { aliases: { champion: 3 } } });
  const body = { aliases: { champion: { version: 3, was: 2 }, old: null }, tags: { team: "risk" } };

  const response = await it.ask("PATCH", `/artifacts/${someId}`, { body });

  deepStrictEqual([200, { aliases: { champion: 3 } }], [response.status, await response.json()]);
  deepStrictEqual({ ...body, artifact_id: someId }, it.fake.last("update_artifact").json);
});
