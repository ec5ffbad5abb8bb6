import { Route } from "../../../_shared/route.ts";
import { drawn, forms, pictures } from "../../picture.ts";
import { runId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/runs/{run_id}/lineage",
  access: "member",
  name: "run_lineage",
  summary: "Shows what a run read and wrote, by dataset and column",
  parameters: { run_id: runId },
  query: { format: { type: "string", enum: forms, default: "json" } },
  answers: { 200: { description: "The graph", schema: to("Graph"), types: pictures } },
  handle: async (call) =>
    drawn(
      await call.ask("run_lineage", `{"run_id":${call.parameters.run_id}}`),
      JSON.parse(call.query.format ?? '"json"'),
    ),
};
