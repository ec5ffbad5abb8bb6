import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/quarantine",
  access: "member",
  name: "list_quarantine",
  summary: "Lists rows that an expectation has set aside (operators)",
  query: {
    run_id: { type: "integer", format: "int64" },
    layer: { type: "string", enum: ["bronze", "silver", "gold"] },
    table: { type: "string" },
    ...paging,
  },
  answers: { 200: { description: "Rows", schema: page(to("Thing")) } },
  handle: forward("list_quarantine"),
};
