import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/endpoints",
  access: "member",
  name: "list_endpoints",
  summary: "Lists endpoints",
  query: { ...paging },
  answers: { 200: { description: "Endpoints", schema: page(to("Endpoint")) } },
  handle: forward("list_endpoints"),
};
