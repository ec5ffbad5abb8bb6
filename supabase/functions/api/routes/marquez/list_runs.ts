import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { paging } from "./paging.ts";

export const route: Route = {
  method: "GET",
  path: "/namespaces/{namespace}/jobs/{job}/runs",
  access: "member",
  name: "marquez_runs",
  summary: "Lists runs of a job, as Marquez does",
  parameters: { namespace: { type: "string" }, job: { type: "string" } },
  query: { ...paging },
  answers: { 200: { description: "Runs", schema: to("MarquezRuns") } },
  handle: forward("marquez_runs"),
};
