import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/verdicts",
  access: "member",
  name: "list_verdicts",
  summary: "Lists what publications were found to be, newest first",
  query: {
    run_id: { type: "integer", format: "int64" },
    layer: { type: "string", enum: ["bronze", "silver", "gold"] },
    table: { type: "string" },
    ...paging,
  },
  answers: { 200: { description: "Verdicts", schema: page(to("Verdict")) } },
  handle: forward("list_verdicts"),
};
