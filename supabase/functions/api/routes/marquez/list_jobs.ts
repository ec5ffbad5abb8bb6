import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { lastRunStates, paging } from "./paging.ts";

export const route: Route = {
  method: "GET",
  path: "/namespaces/{namespace}/jobs",
  access: "member",
  name: "marquez_jobs",
  summary: "Lists jobs of a namespace, as Marquez does",
  parameters: { namespace: { type: "string" } },
  query: { ...paging, lastRunStates },
  answers: { 200: { description: "Jobs", schema: to("MarquezJobs") } },
  handle: forward("marquez_jobs"),
};
