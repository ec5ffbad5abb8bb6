import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/tokens",
  access: "member",
  name: "list_tokens",
  summary: "Lists access tokens, never their text",
  query: { ...paging },
  answers: { 200: { description: "Access tokens", schema: page(to("AccessToken")) } },
  handle: forward("list_tokens"),
};
