import { Route } from "../../../_shared/route.ts";
import { page } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";
import { listOf, narrowing } from "./list_objects.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/schemas",
  access: "member",
  name: "list_schemas",
  summary: "Lists schemas; with in, those of a catalog",
  query: narrowing,
  answers: { 200: { description: "Schemas", schema: page(to("CatalogObject")) } },
  handle: listOf("schema"),
};
