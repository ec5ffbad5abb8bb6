import { forward, Route } from "../../../_shared/route.ts";
import { jobId } from "../../shapes/jobs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/jobs/{job_id}/pause",
  access: "member",
  name: "pause_job",
  summary: "Stops a job from starting by itself",
  description: "As its next version. Running it by hand stays possible.",
  parameters: { job_id: jobId },
  answers: { 200: { description: "It is paused", schema: to("Paused") } },
  handle: forward("pause_job"),
};
