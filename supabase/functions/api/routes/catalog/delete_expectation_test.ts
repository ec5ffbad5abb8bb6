import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("an expectation is taken back by its number", async () => {
  await using it = new Rehearsal();
  it.fake.on("delete_expectation", { status: 200, body: { items: [], next: null } });

  const { status } = await it.ask("DELETE", "/catalog/expectations/7");

  deepStrictEqual([200, { expectation_id: 7 }], [status, it.fake.last("delete_expectation").json]);
});
