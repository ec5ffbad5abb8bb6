import { refuse } from "../../../_shared/errors.ts";
import { json, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { ingest } from "./ingestion.ts";

export const route: Route = {
  method: "POST",
  path: "/lineage",
  access: "member",
  name: "ingest_event",
  summary:
    "Takes one OpenLineage event; official clients work with OPENLINEAGE_URL={SUPABASE_URL}/functions/v1/",
  body: { kind: "object", schema: to("LineageEvent") },
  answers: { 201: { description: "The event is recorded", schema: to("LineageSummary") } },
  handle: async (call) => {
    const result = await ingest(call, `[${call.body.text}]`);
    const [failure] = result.failed_events;
    if (failure !== undefined) {
      throw refuse("EVENT_INVALID", { message: "The event was not taken.", details: failure.reason });
    }
    return json(201, result);
  },
};
