import { forward, Route } from "../../../_shared/route.ts";
import { backfillId, jobId } from "../../shapes/jobs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/jobs/{job_id}/backfills/{backfill_id}",
  access: "member",
  name: "get_backfill",
  summary: "Shows how the runs of a backfill stand",
  parameters: { job_id: jobId, backfill_id: backfillId },
  answers: { 200: { description: "The backfill", schema: to("Backfill") } },
  handle: forward("get_backfill"),
};
