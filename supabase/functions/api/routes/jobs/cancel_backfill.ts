import { forward, Route } from "../../../_shared/route.ts";
import { backfillId, jobId } from "../../shapes/jobs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/jobs/{job_id}/backfills/{backfill_id}/cancel",
  access: "member",
  name: "cancel_backfill",
  summary: "Cancels every run of a backfill that has not ended",
  parameters: { job_id: jobId, backfill_id: backfillId },
  body: { kind: "object", required: false, schema: { type: "object" } },
  answers: { 202: { description: "Its runs are asked to stop", schema: to("Backfill") } },
  handle: forward("cancel_backfill"),
};
