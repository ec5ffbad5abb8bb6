import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("access tokens are listed in pages", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_tokens", { status: 200, body: { "items": [], "next": null } });

  const response = await it.ask("GET", "/tokens?limit=5");

  deepStrictEqual([200, { "items": [], "next": null }], [response.status, await response.json()]);
  deepStrictEqual({ "limit": 5 }, it.fake.last("list_tokens").json);
});
