import { forward, Route } from "../../../_shared/route.ts";
import { jobId, jobTypes, page, paging, runState, to } from "../../shapes.ts";

export const route: Route = {
  method: "GET",
  path: "/runs",
  access: "member",
  name: "list_runs",
  summary: "Lists runs, newest first",
  query: { state: runState, job_id: jobId, job_type: jobTypes, ...paging },
  answers: { 200: { description: "Runs", schema: page(to("Run")) } },
  handle: forward("list_runs"),
};
