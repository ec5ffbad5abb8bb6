import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "DELETE",
  path: "/tokens/{token_id}",
  access: "member",
  name: "revoke_token",
  summary: "Revokes an access token",
  parameters: { token_id: { type: "string", format: "uuid" } },
  answers: { 200: { description: "The token is revoked", schema: to("Thing") } },
  handle: forward("revoke_token"),
};
