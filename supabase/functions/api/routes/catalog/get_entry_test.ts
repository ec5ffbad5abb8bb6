import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the entry of the path is read", async () => {
  await using it = new Rehearsal();
  it.fake.on("get_entry", { status: 200, body: { entry_id: 7 } });

  const answer = await it.ask("GET", "/catalog/entries/7");

  deepStrictEqual([200, { entry_id: 7 }], [answer.status, await answer.json()]);
  deepStrictEqual({ entry_id: 7 }, it.fake.last("get_entry").json);
});
