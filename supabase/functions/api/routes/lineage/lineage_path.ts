import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { asOf } from "./node.ts";

export const route: Route = {
  method: "GET",
  path: "/lineage/path",
  access: "member",
  name: "lineage_path",
  summary: "Finds a shortest way along the flow from one dataset to another",
  query: {
    source: { type: "string", description: "dataset:{namespace}:{name}; required" },
    target: { type: "string", description: "dataset:{namespace}:{name}; required" },
    depth: { type: "integer", minimum: 1, maximum: 100, default: 50, description: "dataset hops at most" },
    as_of: asOf,
  },
  answers: { 200: { description: "The way, or that there is none", schema: to("LineagePath") } },
  handle: forward("lineage_path"),
};
