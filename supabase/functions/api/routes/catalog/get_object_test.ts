import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("an object is named in the path, backquotes and all", async () => {
  await using it = new Rehearsal();
  it.fake.on("get_object", { status: 200, body: {} });

  const { status } = await it.ask("GET", "/catalog/objects/erp.models.%60account.move%60");

  deepStrictEqual([200, { name: "erp.models.`account.move`" }], [status, it.fake.last("get_object").json]);
});
