import { forward, Route } from "../../../_shared/route.ts";
import { page } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/lineage/rules",
  access: "member",
  name: "list_layer_rules",
  summary: "Lists which layer never reads which",
  answers: { 200: { description: "The rules", schema: page(to("LayerRule")) } },
  handle: forward("list_layer_rules"),
};
