import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/rollups",
  access: "member",
  name: "list_rollups",
  summary: "Lists rollups with their definitions (operators)",
  query: paging,
  answers: { 200: { description: "Rollups", schema: page(to("Rollup")) } },
  handle: forward("list_rollups"),
};
