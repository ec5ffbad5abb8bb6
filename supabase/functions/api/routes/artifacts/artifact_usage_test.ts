import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the usage is no artifact of that name", async () => {
  await using it = new Rehearsal();
  it.fake.on("artifact_usage", { status: 200, body: { used_bytes: 5 } });

  const response = await it.ask("GET", "/artifacts/usage");

  deepStrictEqual([200, { used_bytes: 5 }], [response.status, await response.json()]);
});
