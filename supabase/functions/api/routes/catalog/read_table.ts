import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/tables/{layer}/{table}",
  access: "member",
  name: "read_table",
  summary: "Shows a layer's table and its first rows, as far as the caller may see them",
  parameters: {
    layer: { type: "string", enum: ["bronze", "silver", "gold"] },
    table: { type: "string" },
  },
  query: { limit: { type: "integer", minimum: 1, maximum: 1000 } },
  answers: { 200: { description: "{layer, schema, table, columns, row_count, rows}", schema: to("Thing") } },
  handle: forward("read_table"),
};
