import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/members",
  access: "member",
  name: "list_members",
  summary: "Lists the members; oidc:… are workflows that are trusted",
  query: { ...paging },
  answers: { 200: { description: "Members", schema: page(to("Member")) } },
  handle: forward("list_members"),
};
