import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("create_invitation passes on what was asked and answered", async () => {
  await using it = new Rehearsal();
  it.fake.on("create_invitation", { status: 200, body: { ok: true } });

  const response = await it.ask("POST", "/invitations", { body: { email: "a@b.example", role: "viewer" } });

  deepStrictEqual([200, { ok: true }], [response.status, await response.json()]);
  deepStrictEqual({ email: "a@b.example", role: "viewer" }, it.fake.last("create_invitation").json);
});
