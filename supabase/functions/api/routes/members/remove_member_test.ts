import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("remove_member passes on what was asked and answered", async () => {
  await using it = new Rehearsal();
  it.fake.on("remove_member", { status: 200, body: { ok: true } });

  const response = await it.ask("DELETE", "/members/u-1");

  deepStrictEqual([200, { ok: true }], [response.status, await response.json()]);
  deepStrictEqual({ user_id: "u-1" }, it.fake.last("remove_member").json);
});
