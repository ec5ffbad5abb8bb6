import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("trusts are listed in pages", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_trusts", { status: 200, body: { items: [], next: null } });

  deepStrictEqual(200, (await it.ask("GET", "/trusts?limit=5")).status);
  deepStrictEqual({ limit: 5 }, it.fake.last("list_trusts").json);
});
