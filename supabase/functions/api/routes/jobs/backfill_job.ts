import { forward, Route } from "../../../_shared/route.ts";
import { jobId } from "../../shapes/jobs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/jobs/{job_id}/backfill",
  access: "member",
  name: "backfill_job",
  summary: "Runs a job once for each value of a parameter",
  description:
    "Each value is run once, however often it is asked for: what another backfill of the job has run " +
    "already is taken in as it is.",
  parameters: { job_id: jobId },
  body: { kind: "object", schema: to("BackfillOrder") },
  answers: {
    200: { description: "Nothing new was started", schema: to("Backfill") },
    202: { description: "The runs wait in the queue", schema: to("Backfill") },
  },
  handle: forward("backfill_job"),
};
