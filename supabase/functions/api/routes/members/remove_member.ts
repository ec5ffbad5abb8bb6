import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "DELETE",
  path: "/members/{user_id}",
  access: "member",
  name: "remove_member",
  summary: "Removes a member and his tokens, with the next request; admins only",
  parameters: { user_id: { type: "string" } },
  answers: { 200: { description: "The member is gone", schema: to("Thing") } },
  handle: forward("remove_member"),
};
