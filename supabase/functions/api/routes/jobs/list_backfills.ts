import { forward, Route } from "../../../_shared/route.ts";
import { jobId } from "../../shapes/jobs.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/jobs/{job_id}/backfills",
  access: "member",
  name: "list_backfills",
  summary: "Lists the backfills of a job",
  parameters: { job_id: jobId },
  query: paging,
  answers: { 200: { description: "Backfills, newest first", schema: page(to("Backfill")) } },
  handle: forward("list_backfills"),
};
