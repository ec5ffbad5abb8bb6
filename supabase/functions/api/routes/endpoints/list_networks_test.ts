import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("networks are listed in pages", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_networks", { status: 200, body: { "items": [], "next": null } });

  const response = await it.ask("GET", "/callback-networks?limit=5");

  deepStrictEqual([200, { "items": [], "next": null }], [response.status, await response.json()]);
  deepStrictEqual({ "limit": 5 }, it.fake.last("list_networks").json);
});
