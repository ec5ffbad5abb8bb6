import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal, someId } from "../../testing.ts";

Deno.test("the endpoint of the path gets a new secret", async () => {
  await using it = new Rehearsal();
  it.fake.on("rotate_endpoint", { status: 200, body: { endpoint_id: someId, secret_version: 2 } });

  const response = await it.ask("POST", `/endpoints/${someId}/rotate`, { body: { revoke: true } });

  deepStrictEqual([200, { endpoint_id: someId, secret_version: 2 }], [
    response.status,
    await response.json(),
  ]);
  deepStrictEqual({ endpoint_id: someId, revoke: true }, it.fake.last("rotate_endpoint").json);
});
