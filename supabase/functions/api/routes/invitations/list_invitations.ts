import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/invitations",
  access: "member",
  name: "list_invitations",
  summary: "Lists invitations, never their token; admins only",
  query: { ...paging },
  answers: { 200: { description: "Invitations", schema: page(to("Invitation")) } },
  handle: forward("list_invitations"),
};
