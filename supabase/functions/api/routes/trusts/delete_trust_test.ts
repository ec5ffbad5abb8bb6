import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal, someId } from "../../testing.ts";

Deno.test("the trust of the path is taken away", async () => {
  await using it = new Rehearsal();
  it.fake.on("delete_trust", { status: 200, body: { deleted: true } });

  deepStrictEqual(200, (await it.ask("DELETE", `/trusts/${someId}`)).status);
  deepStrictEqual({ trust_id: someId }, it.fake.last("delete_trust").json);
});
