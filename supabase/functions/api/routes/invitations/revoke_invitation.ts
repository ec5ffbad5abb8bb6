import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "DELETE",
  path: "/invitations/{invitation_id}",
  access: "member",
  name: "revoke_invitation",
  summary: "Revokes an invitation that was not accepted yet; admins only",
  parameters: { invitation_id: { type: "string", format: "uuid" } },
  answers: { 200: { description: "The invitation is revoked", schema: to("Thing") } },
  handle: forward("revoke_invitation"),
};
