import { Refusal } from "../../../_shared/errors.ts";
import { Call } from "../../../_shared/route.ts";
import { Page, readPage } from "./log_page.ts";

const terminal = new Set(["SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELED", "SKIPPED"]);
const silenceMilliseconds = 15_000;

/**
 * The log as server-sent events: `id` is the seq, `data` the line as JSON. The stream ends itself before the
 * platform would cut it; a client that comes back with Last-Event-ID misses nothing and gets nothing twice.
 */
export async function followed(call: Call): Promise<Response> {
  const last = call.request.headers.get("last-event-id");
  const resumed = last !== null && /^\d{1,18}$/.test(last);
  const first = await readPage(call, resumed ? BigInt(last).toString() : call.query.after ?? "0", undefined);
  // 204 is how an EventSource learns not to come back
  if (resumed && terminal.has(first.state) && first.items.length === 0) {
    return new Response(null, { status: 204 });
  }
  return new Response(ReadableStream.from(events(call, first)).pipeThrough(new TextEncoderStream()), {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
    },
  });
}

async function* events(call: Call, first: Page): AsyncGenerator<string> {
  const { followMilliseconds, pollMilliseconds } = call.around.settings;
  const end = Date.now() + followMilliseconds;
  let spokenAt = Date.now();
  yield "retry: 1000\n\n";
  for (let page = first;;) {
    if (page.items.length > 0) {
      yield page.items.map((item) => `id: ${item.seq}\ndata: ${JSON.stringify(item)}\n\n`).join("");
      spokenAt = Date.now();
    } else if (terminal.has(page.state)) {
      yield `event: end\ndata: ${JSON.stringify({ state: page.state })}\n\n`;
      return;
    } else {
      if (Date.now() - spokenAt > silenceMilliseconds) {
        yield ": still here\n\n";
        spokenAt = Date.now();
      }
      await new Promise((resume) => setTimeout(resume, pollMilliseconds));
    }
    if (Date.now() >= end) return;
    try {
      // the right to read is asked for anew at each look: a member who was removed sees no further line
      page = await readPage(await call.renewed(), page.next, undefined);
    } catch (error) {
      const data = error instanceof Refusal ? error.body : JSON.stringify({ code: "INTERNAL_ERROR" });
      yield `event: error\ndata: ${data}\n\n`;
      return;
    }
  }
}
