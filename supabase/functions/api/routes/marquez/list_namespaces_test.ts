import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("namespaces are asked for page by page", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_namespaces", { status: 200, body: {} });

  deepStrictEqual(200, (await it.ask("GET", "/namespaces?limit=10&offset=20")).status);
  deepStrictEqual({ "limit": 10, "offset": 20 }, it.fake.last("marquez_namespaces").json);
});
