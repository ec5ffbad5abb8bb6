import { Route } from "../../../_shared/route.ts";
import { page } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";
import { listOf, narrowing } from "./list_objects.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/volumes",
  access: "member",
  name: "list_volumes",
  summary: "Lists volumes; with in, those of a catalog or a schema",
  query: narrowing,
  answers: { 200: { description: "Volumes", schema: page(to("CatalogObject")) } },
  handle: listOf("volume"),
};
