import { passOn, Route } from "../../../_shared/route.ts";
import { refuse } from "../../../_shared/errors.ts";
import { drawing } from "../../drawing.ts";
import { runId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/runs/{run_id}/lineage",
  access: "member",
  name: "run_lineage",
  summary: "Shows what a run read and wrote, by dataset and column",
  parameters: { run_id: runId },
  query: { format: { type: "string", enum: ["json", "mermaid", "dot"], default: "json" } },
  answers: {
    200: { description: "The graph", schema: to("Graph"), types: ["text/vnd.mermaid", "text/vnd.graphviz"] },
  },
  handle: async (call) => {
    const answer = await call.ask("run_lineage", `{"run_id":${call.parameters.run_id}}`);
    const format = JSON.parse(call.query.format ?? '"json"');
    if (format === "json" || answer.status >= 300) return passOn(answer);
    const { graph } = JSON.parse(answer.text);
    if (!Array.isArray(graph)) {
      throw refuse("UPSTREAM_UNAVAILABLE", { details: "run_lineage gave no graph." });
    }
    return format === "mermaid"
      ? text(drawing.mermaid(graph), "text/vnd.mermaid")
      : text(drawing.dot(graph), "text/vnd.graphviz");
  },
};

function text(body: string, type: string): Response {
  return new Response(body, { headers: { "content-type": `${type}; charset=utf-8` } });
}
