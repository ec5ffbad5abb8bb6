import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

const counted = (successful: number, failed: number) => ({
  received: successful + failed,
  successful,
  failed,
});
const failed_events = [{ index: 1, reason: "no" }];

Deno.test("a batch that was taken in part says which events were not", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_ingest", {
    status: 200,
    body: { status: "partial_success", summary: counted(1, 1), failed_events },
  });

  const response = await it.ask("POST", "/lineage/batch", { body: [{ a: 1 }, {}] });

  const summary = { ...counted(1, 1), retriable: 0, non_retriable: 1 };
  deepStrictEqual([200, { status: "partial_success", summary, failed_events }], [
    response.status,
    await response.json(),
  ]);
  deepStrictEqual({ events: [{ a: 1 }, {}] }, it.fake.last("lineage_ingest").json);
});

Deno.test("a batch of which nothing was taken is a 400", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_ingest", {
    status: 200,
    body: { status: "partial_success", summary: counted(0, 2), failed_events },
  });

  strictEqual(400, (await it.ask("POST", "/lineage/batch", { body: [{}, {}] })).status);
});

Deno.test("an empty batch is a success", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_ingest", {
    status: 200,
    body: { status: "success", summary: counted(0, 0), failed_events: [] },
  });

  strictEqual(200, (await it.ask("POST", "/lineage/batch", { body: [] })).status);
});

Deno.test("a body cannot add arguments to the call", async () => {
  await using it = new Rehearsal();

  strictEqual(400, (await it.ask("POST", "/lineage/batch", { body: '[],"actor":"x"' })).status);
  strictEqual(0, it.fake.seen.length);
});

Deno.test("a batch may have more than the 2 MiB of other bodies, up to 10 MiB", async () => {
  await using it = new Rehearsal();
  it.fake.on("lineage_ingest", {
    status: 200,
    body: { status: "success", summary: counted(1, 0), failed_events: [] },
  });
  const batch = (mebibytes: number) => JSON.stringify([{ padding: "x".repeat(mebibytes * 1024 * 1024) }]);

  strictEqual(200, (await it.ask("POST", "/lineage/batch", { body: batch(5) })).status);
  strictEqual(413, (await it.ask("POST", "/lineage/batch", { body: batch(10) })).status);
  strictEqual(413, (await it.ask("POST", "/lineage", { body: batch(3) })).status);
});

Deno.test("an event with text that Postgres cannot keep sinks no other", async () => {
  await using it = new Rehearsal();
  const refused = [{ index: 1, reason: "$: an event is an object" }];
  it.fake.on("lineage_ingest", {
    status: 200,
    body: { status: "partial_success", summary: counted(2, 1), failed_events: refused },
  });

  const response = await it.ask("POST", "/lineage/batch", {
    body: [{ a: "\ud83d\ude80 \\u0000" }, { a: { "\0": 1 } }, { a: "ü" }],
  });

  const reason = "$: holds NUL or half of a surrogate pair, which no text of the database can";
  deepStrictEqual([{ index: 1, reason }], (await response.json()).failed_events);
  deepStrictEqual(
    { events: [{ a: "\ud83d\ude80 \\u0000" }, null, { a: "ü" }] },
    it.fake.last("lineage_ingest").json,
  );
});
