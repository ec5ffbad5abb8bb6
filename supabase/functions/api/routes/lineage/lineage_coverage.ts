import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/lineage/coverage",
  access: "member",
  name: "lineage_coverage",
  summary: "Says which declared and observed flows the graph lacks: none, it should be",
  query: {
    window_hours: { type: "integer", minimum: 1, maximum: 8760, default: 24 },
    limit: { type: "integer", minimum: 1, maximum: 1000, description: "flows that are missing, at most" },
  },
  answers: {
    200: { description: "Figures, by witness, and what is missing", schema: to("LineageCoverage") },
  },
  handle: forward("lineage_coverage"),
};
