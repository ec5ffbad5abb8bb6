import { forward, Route } from "../../../_shared/route.ts";
import { jobId } from "../../shapes/jobs.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";
import { jobType, state } from "../../shapes/words.ts";

export const route: Route = {
  method: "GET",
  path: "/runs",
  access: "member",
  name: "list_runs",
  summary: "Lists runs, newest first",
  query: { state, job_id: jobId, job_type: jobType, ...paging },
  answers: { 200: { description: "Runs", schema: page(to("Run")) } },
  handle: forward("list_runs"),
};
