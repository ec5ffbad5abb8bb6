import { forward, Route } from "../../../_shared/route.ts";
import { jobId } from "../../shapes/jobs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/jobs/{job_id}/resume",
  access: "member",
  name: "resume_job",
  summary: "Lets a job start by itself again, from its next time on",
  parameters: { job_id: jobId },
  answers: { 200: { description: "It runs by its clock", schema: to("Paused") } },
  handle: forward("resume_job"),
};
