import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/namespaces/{namespace}/jobs/{job}",
  access: "member",
  name: "marquez_job",
  summary: "Gets a job with its latest runs, as Marquez does",
  parameters: { namespace: { type: "string" }, job: { type: "string" } },
  answers: { 200: { description: "The job", schema: to("MarquezJob") } },
  handle: forward("marquez_jobs"),
};
