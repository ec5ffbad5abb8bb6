import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/audit",
  access: "member",
  name: "list_audit",
  summary: "Lists who did what, when and from where (admins)",
  description:
    "Newest first, by cursor. With after=0, and then after=<next>, in the order of the seals: each " +
    "entry once and none left out, however late it was committed.",
  query: {
    ...paging,
    after: { type: "string", pattern: "^[0-9]+(\\.[0-9]+)?$" },
    action: { type: "string" },
    user_id: { type: "string" },
    object_type: { type: "string" },
    object_id: { type: "string" },
  },
  answers: { 200: { description: "Entries", schema: page(to("AuditEntry")) } },
  handle: forward("list_audit"),
};
