import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "PATCH",
  path: "/members/{user_id}",
  access: "member",
  name: "set_member_role",
  summary: "Changes a member's role, with the next request; admins only",
  parameters: { user_id: { type: "string" } },
  body: {
    kind: "object",
    schema: {
      type: "object",
      required: ["role"],
      properties: { role: { type: "string", enum: ["viewer", "operator", "admin"] } },
    },
  },
  answers: { 200: { description: "The member", schema: to("Member") } },
  handle: forward("set_member_role"),
};
