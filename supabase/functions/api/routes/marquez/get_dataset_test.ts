import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a dataset may have any name", async () => {
  await using it = new Rehearsal();
  it.fake.on("marquez_datasets", { status: 200, body: {} });

  deepStrictEqual(
    200,
    (await it.ask("GET", "/namespaces/postgres%3A%2F%2Fdb%3A5432/datasets/a.b%2F%22%C3%BC%22")).status,
  );
  deepStrictEqual(
    { "namespace": "postgres://db:5432", "dataset": 'a.b/"ü"' },
    it.fake.last("marquez_datasets").json,
  );
});
