import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a namespace may be an address", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_namespaces", { status: 200, body: {} });

  deepStrictEqual(200, (await it.ask("GET", "/namespaces/postgres%3A%2F%2Fdb%3A5432")).status);
  deepStrictEqual({ "namespace": "postgres://db:5432" }, it.fake.last("marquez_namespaces").json);
});
