import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/lineage/orphans",
  access: "member",
  name: "lineage_orphans",
  summary: "Lists datasets that no live edge touches",
  query: {
    ...paging,
  },
  answers: { 200: { description: "Datasets, and how they came to that", schema: page(to("Thing")) } },
  handle: forward("lineage_orphans"),
};
