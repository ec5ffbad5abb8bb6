import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/catalog/freshness",
  access: "member",
  name: "set_freshness",
  summary: "Says how old data of a table, or of the tables of a schema, may be; neither bound: any age",
  body: {
    kind: "object",
    schema: {
      type: "object",
      required: ["name"],
      properties: { name: { type: "string" }, warn_after: to("Period"), error_after: to("Period") },
    },
  },
  answers: { 200: { description: "The rule", schema: to("Thing") } },
  handle: forward("set_freshness"),
};
