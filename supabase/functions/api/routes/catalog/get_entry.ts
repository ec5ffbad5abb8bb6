import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/entries/{entry_id}",
  access: "member",
  name: "get_entry",
  summary: "Shows an entry of a knowledge base with its text and where it comes from",
  parameters: { entry_id: { type: "integer", format: "int64", minimum: 1 } },
  answers: { 200: { description: "The entry", schema: to("Thing") } },
  handle: forward("get_entry"),
};
