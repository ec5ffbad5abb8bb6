import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "DELETE",
  path: "/trusts/{trust_id}",
  access: "member",
  name: "delete_trust",
  summary: "Takes a trust away, and with it every token that it gave; admins only",
  parameters: { trust_id: { type: "string", format: "uuid" } },
  answers: { 200: { description: "The trust is gone", schema: to("Thing") } },
  handle: forward("delete_trust"),
};
