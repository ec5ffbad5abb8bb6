import { Route } from "../../../_shared/route.ts";
import { page } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";
import { listOf, narrowing } from "./list_objects.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/catalogs",
  access: "member",
  name: "list_catalogs",
  summary: "Lists catalogs",
  query: narrowing,
  answers: { 200: { description: "Catalogs", schema: page(to("CatalogObject")) } },
  handle: listOf("catalog"),
};
