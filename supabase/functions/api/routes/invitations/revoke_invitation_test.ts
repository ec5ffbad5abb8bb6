import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("revoke_invitation passes on what was asked and answered", async () => {
  await using it = new Rehearsal();
  it.fake.on("revoke_invitation", { status: 200, body: { ok: true } });

  const response = await it.ask("DELETE", "/invitations/22222222-2222-4222-8222-222222222222");

  deepStrictEqual([200, { ok: true }], [response.status, await response.json()]);
  deepStrictEqual(
    { invitation_id: "22222222-2222-4222-8222-222222222222" },
    it.fake.last("revoke_invitation").json,
  );
});
