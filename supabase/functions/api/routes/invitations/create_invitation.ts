import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/invitations",
  access: "member",
  name: "create_invitation",
  summary: "Invites a person by email or user id; admins only",
  body: {
    kind: "object",
    schema: {
      type: "object",
      required: ["role"],
      properties: {
        email: { type: "string", description: "this or user_id" },
        user_id: { type: "string" },
        role: { type: "string", enum: ["viewer", "operator", "admin"] },
        expires_in_hours: { type: "integer", minimum: 1, maximum: 720 },
      },
    },
  },
  answers: { 201: { description: "The invitation, its token shown this once", schema: to("Invitation") } },
  handle: forward("create_invitation"),
};
