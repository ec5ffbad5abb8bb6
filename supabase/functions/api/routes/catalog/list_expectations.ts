import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/expectations",
  access: "member",
  name: "list_expectations",
  summary: "Lists what is expected of tables (operators)",
  query: {
    layer: { type: "string", enum: ["bronze", "silver", "gold"] },
    table: { type: "string" },
    ...paging,
  },
  answers: { 200: { description: "Expectations", schema: page(to("Expectation")) } },
  handle: forward("list_expectations"),
};
