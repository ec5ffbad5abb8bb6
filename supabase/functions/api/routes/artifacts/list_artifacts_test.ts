import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("filters go to list_artifacts with their types", async () => {
  await using it = new Rehearsal();
  it.fake.on("list_artifacts", { status: 200, body: { "items": [], "next": null } });

  const response = await it.ask("GET", "/artifacts?name=n&kind=file&run_id=12");

  deepStrictEqual([200, { "items": [], "next": null }], [response.status, await response.json()]);
  deepStrictEqual({ "name": "n", "kind": "file", "run_id": 12 }, it.fake.last("list_artifacts").json);
});
