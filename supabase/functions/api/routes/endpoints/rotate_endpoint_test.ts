import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../rehearsal.ts";

Deno.test("the endpoint of the path gets its next secret", async () => {
  await using it = new Rehearsal();
  it.fake.on("rotate_endpoint", { status: 200, body: { "secret_version": 2 } });

  const response = await it.ask("POST", "/endpoints/22222222-2222-4222-8222-222222222222/rotate");

  deepStrictEqual([200, { "secret_version": 2 }], [response.status, await response.json()]);
  deepStrictEqual(
    { "endpoint_id": "22222222-2222-4222-8222-222222222222" },
    it.fake.last("rotate_endpoint").json,
  );
});
