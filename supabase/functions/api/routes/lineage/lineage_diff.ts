import { passOn, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { about, nodeId } from "./node.ts";

export const route: Route = {
  method: "GET",
  path: "/lineage/diff",
  access: "member",
  name: "lineage_diff",
  summary: "Tells how the graph round a dataset changed between two times",
  query: {
    nodeId,
    from: { type: "string", format: "date-time", description: "required" },
    to: { type: "string", format: "date-time", description: "absent: now" },
    depth: { type: "integer", minimum: 0, maximum: 100, default: 5, description: "dataset hops" },
    direction: { type: "string", enum: ["upstream", "downstream", "both"], default: "both" },
  },
  answers: { 200: { description: "What came and what went", schema: to("LineageDiff") } },
  handle: async (call) => passOn(await call.ask("lineage_diff", about(call.query))),
};
