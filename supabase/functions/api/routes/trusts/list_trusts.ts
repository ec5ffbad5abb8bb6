import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/trusts",
  access: "member",
  name: "list_trusts",
  summary: "Lists the workflows that are trusted; admins only",
  query: { ...paging },
  answers: { 200: { description: "Trusts", schema: page(to("Trust")) } },
  handle: forward("list_trusts"),
};
