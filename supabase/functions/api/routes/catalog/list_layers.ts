import { forward, Route } from "../../../_shared/route.ts";
import { page } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/layers",
  access: "member",
  name: "list_layers",
  summary: "Shows how bronze, silver and gold stand: tables, rows, freshness, what they never read",
  answers: { 200: { description: "Layers", schema: page(to("Thing")) } },
  handle: forward("list_layers"),
};
