import { Route } from "../../../_shared/route.ts";
import { page } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";
import { listOf, narrowing } from "./list_objects.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/columns",
  access: "member",
  name: "list_columns",
  summary: "Lists columns; with in, those of a table, in their order",
  query: narrowing,
  answers: { 200: { description: "Columns", schema: page(to("CatalogObject")) } },
  handle: listOf("column"),
};
