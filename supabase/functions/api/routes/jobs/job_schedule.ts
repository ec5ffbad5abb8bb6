import { forward, Route } from "../../../_shared/route.ts";
import { jobId } from "../../shapes/jobs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/jobs/{job_id}/schedule",
  access: "member",
  name: "job_schedule",
  summary: "Shows when a job starts by itself next",
  parameters: { job_id: jobId },
  query: {
    count: { type: "integer", minimum: 1, maximum: 100, description: "how many times ahead; 5 unless given" },
  },
  answers: { 200: { description: "What starts the job, and when", schema: to("Clock") } },
  handle: forward("job_schedule"),
};
