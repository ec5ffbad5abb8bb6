import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("the endpoint of the path is deleted", async () => {
  await using it = new Rehearsal();
  it.fake.on("delete_endpoint", { status: 200, body: { "ok": true } });

  const response = await it.ask("DELETE", "/endpoints/22222222-2222-4222-8222-222222222222");

  deepStrictEqual([200, { "ok": true }], [response.status, await response.json()]);
  deepStrictEqual(
    { "endpoint_id": "22222222-2222-4222-8222-222222222222" },
    it.fake.last("delete_endpoint").json,
  );
});
