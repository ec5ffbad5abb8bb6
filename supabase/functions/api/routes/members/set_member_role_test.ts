import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("set_member_role passes on what was asked and answered", async () => {
  await using it = new Rehearsal();
  it.fake.on("set_member_role", { status: 200, body: { ok: true } });

  const response = await it.ask("PATCH", "/members/oidc%3A1", { body: { role: "viewer" } });

  deepStrictEqual([200, { ok: true }], [response.status, await response.json()]);
  deepStrictEqual({ user_id: "oidc:1", role: "viewer" }, it.fake.last("set_member_role").json);
});
