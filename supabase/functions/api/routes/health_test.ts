import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Rehearsal } from "../testing.ts";

Deno.test("health is public", async () => {
  await using it = new Rehearsal();
  it.fake.on("health", { status: 200, body: { status: "ok", runners: [], queue_depth: 0 } });

  const response = await it.ask("GET", "/health", { bearer: null });

  deepStrictEqual([200, "ok"], [response.status, (await response.json()).status]);
});

Deno.test("a database that does not answer is a 503 with Retry-After", async () => {
  await using it = new Rehearsal();
  it.fake.on("health", () => new Response("", { status: 502 }));

  const response = await it.ask("GET", "/health", { bearer: null });

  strictEqual(503, response.status);
  strictEqual("1", response.headers.get("retry-after"));
});
