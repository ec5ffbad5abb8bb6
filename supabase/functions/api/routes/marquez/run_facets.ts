import { extended } from "../../../_shared/json_text.ts";
import { passOn, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/jobs/runs/{run}/facets",
  access: "member",
  name: "marquez_facets",
  summary: "Gets the facets of a run or of its job, as Marquez does",
  parameters: { run: { type: "string" } },
  query: { type: { type: "string", enum: ["run", "job"], default: "run" } },
  answers: { 200: { description: "Facets", schema: to("MarquezFacets") } },
  handle: async (call) =>
    passOn(await call.ask("marquez_run", extended(call.everything, { type: call.query.type ?? '"run"' }))),
};
