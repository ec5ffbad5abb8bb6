import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "DELETE",
  path: "/catalog/rollups/{table}",
  access: "member",
  name: "delete_rollup",
  summary: "Takes a rollup and its table away",
  parameters: { table: { type: "string" } },
  answers: { 200: { description: "{table, deleted}", schema: to("Thing") } },
  handle: forward("delete_rollup"),
};
