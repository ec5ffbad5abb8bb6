import { forward, Route } from "../../../_shared/route.ts";
import { jobId } from "../../shapes/jobs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/jobs/{job_id}",
  access: "member",
  name: "get_job",
  summary: "Shows a job",
  parameters: { job_id: jobId },
  answers: { 200: { description: "The job", schema: to("Job") } },
  handle: forward("get_job"),
};
