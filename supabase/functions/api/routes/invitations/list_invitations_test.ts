import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("list_invitations passes on what was asked and answered", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_invitations", { status: 200, body: { ok: true } });

  const response = await it.ask("GET", "/invitations?limit=5");

  deepStrictEqual([200, { ok: true }], [response.status, await response.json()]);
  deepStrictEqual({ limit: 5 }, it.fake.last("list_invitations").json);
});
