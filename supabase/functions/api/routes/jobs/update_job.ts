import { forward, Route } from "../../../_shared/route.ts";
import { jobFields, jobId } from "../../shapes/jobs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "PATCH",
  path: "/jobs/{job_id}",
  access: "member",
  name: "update_job",
  summary: "Changes a job, as its next version",
  parameters: { job_id: jobId },
  body: { kind: "object", schema: { type: "object", properties: jobFields } },
  answers: { 200: { description: "The job", schema: to("Job") } },
  handle: forward("update_job"),
};
