import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the access token of the path is revoked", async () => {
  await using it = new Rehearsal();
  it.fake.on("revoke_token", { status: 200, body: { "ok": true } });

  const response = await it.ask("DELETE", "/tokens/22222222-2222-4222-8222-222222222222");

  deepStrictEqual([200, { "ok": true }], [response.status, await response.json()]);
  deepStrictEqual({ "token_id": "22222222-2222-4222-8222-222222222222" }, it.fake.last("revoke_token").json);
});
