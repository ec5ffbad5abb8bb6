import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

const event = {
  eventTime: "2026-01-01T00:00:00Z",
  producer: "p",
  schemaURL: "s",
  run: { runId: "r" },
  job: {},
};
const counted = (successful: number, failed: number) => ({
  received: successful + failed,
  successful,
  failed,
});

Deno.test("one event is recorded with 201, as official clients expect", async () => {
  await using it = new Rehearsal();
  const body = { status: "success", summary: counted(1, 0), failed_events: [] };
  it.fake.on("lineage_ingest", { status: 200, body });

  const response = await it.ask("POST", "/lineage", { body: event });

  strictEqual(201, response.status);
  deepStrictEqual({ events: [event] }, it.fake.last("lineage_ingest").json);
});

Deno.test("the client's gzip is unpacked", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_ingest", {
    status: 200,
    body: { status: "success", summary: counted(1, 0), failed_events: [] },
  });
  const stream = new Blob([JSON.stringify(event)]).stream().pipeThrough(new CompressionStream("gzip"));
  const body = new Uint8Array(await new Response(stream).arrayBuffer());

  const response = await it.ask("POST", "/lineage", { body, headers: { "content-encoding": "gzip" } });

  strictEqual(201, response.status);
});

Deno.test("an event that is not taken is a 400 with the reason", async () => {
  await using it = new Rehearsal();
  const failed_events = [{ index: 0, reason: "$.run is missing" }];
  it.fake.on("lineage_ingest", {
    status: 200,
    body: { status: "partial_success", summary: counted(0, 1), failed_events },
  });

  const response = await it.ask("POST", "/lineage", { body: {} });

  const { code, details } = await response.json();
  deepStrictEqual([400, "EVENT_INVALID", "$.run is missing"], [response.status, code, details]);
});
