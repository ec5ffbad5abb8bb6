import { forward, Route } from "../../../_shared/route.ts";
import { jobId } from "../../shapes/jobs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "DELETE",
  path: "/jobs/{job_id}",
  access: "member",
  name: "delete_job",
  summary: "Deletes a job; its runs stay",
  parameters: { job_id: jobId },
  answers: { 200: { description: "The job is gone", schema: to("Thing") } },
  handle: forward("delete_job"),
};
