import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/jobs/runs/{run}",
  access: "member",
  name: "marquez_run",
  summary: "Gets a run by the id that its events name, as Marquez does",
  parameters: { run: { type: "string" } },
  answers: { 200: { description: "The run", schema: to("MarquezRun") } },
  handle: forward("marquez_run"),
};
