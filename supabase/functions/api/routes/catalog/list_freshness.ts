import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/freshness",
  access: "member",
  name: "list_freshness",
  summary: "Lists tables that have to be fresh, and whether they are",
  query: { in: { type: "string" }, status: { type: "string", enum: ["pass", "warn", "error"] }, ...paging },
  answers: { 200: { description: "Tables with their ages", schema: page(to("Freshness")) } },
  handle: forward("list_freshness"),
};
