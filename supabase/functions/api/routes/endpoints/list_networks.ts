import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/callback-networks",
  access: "member",
  name: "list_networks",
  summary: "Lists the private networks that callbacks may reach (admins)",
  query: { ...paging },
  answers: { 200: { description: "Networks", schema: page(to("Network")) } },
  handle: forward("list_networks"),
};
