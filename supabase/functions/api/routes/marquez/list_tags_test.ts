import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("tags are all of them", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_tags", { status: 200, body: {} });

  deepStrictEqual(200, (await it.ask("GET", "/tags")).status);
  deepStrictEqual({}, it.fake.last("marquez_tags").json);
});
