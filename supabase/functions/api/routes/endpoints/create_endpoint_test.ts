import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("an endpoint goes to create_endpoint as it came", async () => {
  await using it = new Rehearsal();
  it.fake.on("create_endpoint", { status: 201, body: { "ok": true } });

  const response = await it.ask("POST", "/endpoints", { body: { "url": "https://hooks.example/x" } });

  deepStrictEqual([201, { "ok": true }], [response.status, await response.json()]);
  deepStrictEqual({ "url": "https://hooks.example/x" }, it.fake.last("create_endpoint").json);
});
