import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("datasets of a namespace are asked for page by page", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_datasets", { status: 200, body: {} });

  deepStrictEqual(
    200,
    (await it.ask("GET", "/namespaces/postgres%3A%2F%2Fdb%3A5432/datasets?limit=20&offset=40")).status,
  );
  deepStrictEqual(
    { "limit": 20, "offset": 40, "namespace": "postgres://db:5432" },
    it.fake.last("marquez_datasets").json,
  );
});
