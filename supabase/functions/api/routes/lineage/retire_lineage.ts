import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/lineage/retire",
  access: "member",
  name: "retire_lineage",
  summary:
    "Retires live edges: they conduct no more, and stay to be asked for as of then (admins; it is audited)",
  body: {
    kind: "object",
    schema: {
      type: "object",
      required: ["reason"],
      properties: {
        source: { type: "string", description: "dataset:{namespace}:{name}" },
        target: { type: "string", description: "dataset:{namespace}:{name}" },
        job: {
          type: "string",
          description: "job:{namespace}:{name}; instead of source and target, or besides",
        },
        reason: { type: "string", maxLength: 1000 },
      },
    },
  },
  answers: { 200: { description: "How many", schema: to("RetiredEdges") } },
  handle: forward("retire_lineage"),
};
