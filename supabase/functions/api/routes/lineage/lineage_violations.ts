import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/lineage/violations",
  access: "member",
  name: "lineage_violations",
  summary: "Lists live edges that break a layer rule, such as: gold never reads bronze",
  query: {
    ...paging,
  },
  answers: { 200: { description: "Edges, each with its rule", schema: page(to("Thing")) } },
  handle: forward("lineage_violations"),
};
