import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("what is said of an object goes to the one that the path names", async () => {
  await using it = new Rehearsal();
  it.fake.on("describe_object", { status: 200, body: {} });

  const { status } = await it.ask("PATCH", "/catalog/objects/main.gold.orders", {
    body: { name: "main.gold.other", comment: null, tags: { domain: "sales" } },
  });

  deepStrictEqual(
    [200, { name: "main.gold.orders", comment: null, tags: { domain: "sales" } }],
    [status, it.fake.last("describe_object").json],
  );
});
