import { Call, Route } from "../../../_shared/route.ts";
import { after, paging } from "../../shapes/paging.ts";
import { runId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";
import { followed } from "./followed_log.ts";
import { Line, Page, readPage } from "./log_page.ts";

export const route: Route = {
  method: "GET",
  path: "/runs/{run_id}/logs",
  access: "member",
  name: "run_logs",
  summary: "Reads a run's log, one JSON object a line (operators)",
  description:
    "Accept: text/plain gives the bare lines. follow=1 gives server-sent events whose ids are seqs; the " +
    "stream ends itself after 120 s and resumes by Last-Event-ID; after the run's end comes the event `end`.",
  parameters: { run_id: runId },
  query: {
    after,
    limit: paging.limit,
    task_key: { type: "string" },
    follow: { type: "string", enum: ["0", "1", "true", "false"] },
  },
  answers: {
    200: {
      description: "Log lines",
      schema: to("LogLine"),
      types: ["application/x-ndjson", "text/plain", "text/event-stream"],
    },
    204: { description: "Nothing more will come (a followed log that had ended before)" },
  },
  handle: async (call) => {
    const accept = call.request.headers.get("accept") ?? "";
    const follow = ['"1"', '"true"'].includes(call.query.follow ?? "") ||
      accept.includes("text/event-stream");
    if (follow) return await followed(call);
    const plain = accept.includes("text/plain") && !accept.includes("ndjson");
    const write = plain ? (item: Line) => `${item.line}\n` : (item: Line) => `${JSON.stringify(item)}\n`;
    // the first page decides the status; the others follow while the caller reads
    const first = await readPage(call, call.query.after ?? "0", call.query.limit);
    return new Response(ReadableStream.from(texts(call, first, write)).pipeThrough(new TextEncoderStream()), {
      headers: { "content-type": `${plain ? "text/plain" : "application/x-ndjson"}; charset=utf-8` },
    });
  },
};

async function* texts(call: Call, first: Page, write: (item: Line) => string): AsyncGenerator<string> {
  let page = first;
  while (page.items.length > 0) {
    yield page.items.map(write).join("");
    if (call.query.limit !== undefined) return;
    page = await readPage(call, page.next, undefined);
  }
}
