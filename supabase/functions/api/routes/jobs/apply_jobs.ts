import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/jobs/apply",
  access: "member",
  name: "apply_jobs",
  summary: "Makes jobs so as they are sent, all of them or none",
  description:
    "What is so already stays as it is. `dry_run` does the same and takes it back. A `source` owns what it has applied: " +
    "others do not change it, and `prune` deletes what it no longer sends.",
  body: { kind: "object", schema: to("JobsOrder") },
  answers: { 200: { description: "What was done, or would be", schema: to("AppliedJobs") } },
  handle: forward("apply_jobs"),
};
