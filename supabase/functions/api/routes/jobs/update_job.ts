import { forward, Route } from "../../../_shared/route.ts";
import { jobId, shapes, to } from "../../shapes.ts";

export const route: Route = {
  method: "PATCH",
  path: "/jobs/{job_id}",
  access: "member",
  name: "update_job",
  summary: "Changes a job, as its next version",
  parameters: { job_id: jobId },
  body: { kind: "object", schema: { type: "object", properties: shapes.Job.properties } },
  answers: { 200: { description: "The job", schema: to("Job") } },
  handle: forward("update_job"),
};
