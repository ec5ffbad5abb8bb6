import { refuse } from "../../../_shared/errors.ts";
import { json, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { ingest } from "./ingestion.ts";

export const route: Route = {
  method: "POST",
  path: "/lineage/batch",
  access: "member",
  name: "ingest_batch",
  summary: "Takes an array of OpenLineage events; bad ones do not sink the others",
  body: { kind: "array", schema: { type: "array", items: to("LineageEvent") }, limit: 10 * 1024 * 1024 },
  answers: { 200: { description: "What became of the events", schema: to("LineageSummary") } },
  handle: async (call) => {
    const result = await ingest(call, call.body.text);
    const { received, successful } = result.summary;
    if (received > 0 && successful === 0) {
      throw refuse("EVENT_INVALID", { details: JSON.stringify(result.failed_events) });
    }
    return json(200, result);
  },
};
