import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { FakeSupabase, Seen } from "../../../_shared/fake_supabase.ts";
import { Rehearsal } from "../../testing.ts";

const line = (seq: number) => ({
  seq,
  at: "2026-01-01T00:00:00Z",
  attempt_id: 7,
  stream: "stdout",
  line: `line ${seq}`,
});

/** A log of `lines`, given in pages of two; `state` may change from look to look. */
function log(fake: FakeSupabase, lines: number, state: (look: number) => string = () => "SUCCEEDED"): void {
  let looks = 0;
  fake.on("run_logs", ({ json }: Seen) => {
    const from = json.after ?? 0;
    const items = Array.from(
      { length: Math.min(json.limit ?? 2, Math.max(0, lines - from)) },
      (_, i) => line(from + i + 1),
    );
    return { status: 200, body: { items, next: items.at(-1)?.seq ?? null, state: state(looks++) } };
  });
}

const events = (text: string) => text.split("\n\n").filter((event) => event !== "");

Deno.test("a log is one JSON object a line, to its end over every page", async () => {
  await using it = new Rehearsal();
  log(it.fake, 5);

  const response = await it.ask("GET", "/runs/12/logs");

  strictEqual("application/x-ndjson; charset=utf-8", response.headers.get("content-type"));
  const lines = (await response.text()).trimEnd().split("\n").map((text) => JSON.parse(text));
  deepStrictEqual([1, 2, 3, 4, 5].map(line), lines);
});

Deno.test("Accept: text/plain gives the bare lines", async () => {
  await using it = new Rehearsal();
  log(it.fake, 3);

  const response = await it.ask("GET", "/runs/12/logs", { headers: { accept: "text/plain" } });

  strictEqual("line 1\nline 2\nline 3\n", await response.text());
});

Deno.test("after and limit give a part of it", async () => {
  await using it = new Rehearsal();
  log(it.fake, 9);

  const response = await it.ask("GET", "/runs/12/logs?after=3&limit=1&task_key=execute");

  deepStrictEqual(line(4), JSON.parse(await response.text()));
  deepStrictEqual({ run_id: 12, after: 3, limit: 1, task_key: "execute" }, it.fake.last("run_logs").json);
});

Deno.test("an empty log is an empty answer", async () => {
  await using it = new Rehearsal();
  log(it.fake, 0);

  strictEqual("", await (await it.ask("GET", "/runs/12/logs")).text());
});

for (const path of ["/runs/12/logs", "/runs/12/logs?follow=1"]) {
  Deno.test(`${path} of a stranger's run is the database's 404, before any stream`, async () => {
    await using it = new Rehearsal();
    it.fake.on("run_logs", {
      status: 404,
      body: { code: "RUN_NOT_FOUND", message: "", details: null, hint: null },
    });

    const response = await it.ask("GET", path);

    deepStrictEqual([404, "RUN_NOT_FOUND"], [response.status, (await response.json()).code]);
  });
}

Deno.test("a followed log sends lines with their seq as id, and tells the end", async () => {
  await using it = new Rehearsal();
  log(it.fake, 3, (look) => look < 4 ? "RUNNING" : "SUCCEEDED");

  const response = await it.ask("GET", "/runs/12/logs?follow=1");

  strictEqual("text/event-stream; charset=utf-8", response.headers.get("content-type"));
  deepStrictEqual([
    "retry: 1000",
    ...[1, 2, 3].map((seq) => `id: ${seq}\ndata: ${JSON.stringify(line(seq))}`),
    'event: end\ndata: {"state":"SUCCEEDED"}',
  ], events(await response.text()));
});

Deno.test("Accept: text/event-stream follows too, and Last-Event-ID resumes", async () => {
  await using it = new Rehearsal();
  log(it.fake, 3);
  const headers = { accept: "text/event-stream", "last-event-id": "2" };

  const text = await (await it.ask("GET", "/runs/12/logs?after=1", { headers })).text();

  deepStrictEqual(
    ["id: 3"],
    events(text).filter((event) => event.startsWith("id:")).map((event) => event.split("\n")[0]),
  );
});

Deno.test("coming back after the end is answered 204, which stops an EventSource", async () => {
  await using it = new Rehearsal();
  log(it.fake, 3);

  strictEqual(
    204,
    (await it.ask("GET", "/runs/12/logs?follow=1", { headers: { "last-event-id": "3" } })).status,
  );
});

Deno.test("a followed log closes itself after its time", async () => {
  await using it = new Rehearsal({ followMilliseconds: 30 });
  log(it.fake, 1, () => "RUNNING");

  const text = await (await it.ask("GET", "/runs/12/logs?follow=1")).text();

  deepStrictEqual(["retry: 1000", `id: 1\ndata: ${JSON.stringify(line(1))}`], events(text));
});

Deno.test("a member who is removed while following is told so and sees no more", async () => {
  await using it = new Rehearsal();
  const body = { code: "MEMBERSHIP_MISSING", message: "", details: null, hint: null };
  const replies = [{ status: 403, body }, {
    status: 200,
    body: { items: [line(1)], next: 1, state: "RUNNING" },
  }];
  it.fake.on("run_logs", () => replies.pop() ?? { status: 500, body });

  const text = await (await it.ask("GET", "/runs/12/logs?follow=1")).text();

  strictEqual(`event: error\ndata: ${JSON.stringify(body)}`, events(text).at(-1));
});

Deno.test("nobody looks any further once the reader has left", async () => {
  await using it = new Rehearsal();
  log(it.fake, 1, () => "RUNNING");
  const response = await it.ask("GET", "/runs/12/logs?follow=1");
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  const looks = it.fake.count("run_logs");

  await new Promise((resume) => setTimeout(resume, 50));
  strictEqual(true, it.fake.count("run_logs") <= looks + 1);
});
