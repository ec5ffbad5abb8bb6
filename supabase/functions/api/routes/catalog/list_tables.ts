import { json, passOn, Route } from "../../../_shared/route.ts";
import { page } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

const pageSize = 100;

export const route: Route = {
  method: "GET",
  path: "/catalog/tables",
  access: "member",
  name: "list_tables",
  summary: "Lists the catalog's tables",
  query: {
    target: {
      type: "string",
      description: "the tables and views of this database, as the last migration has seen them",
    },
    limit: { type: "integer", minimum: 1, maximum: 1000, default: pageSize },
    cursor: { type: "integer", minimum: 0, description: "next of the page before" },
  },
  answers: { 200: { description: "Tables", schema: page(to("Thing")) } },
  handle: async (call) => {
    const limit = Number(call.query.limit ?? pageSize);
    const offset = Number(call.query.cursor ?? 0);
    const query = new URLSearchParams({ select: "*", limit: String(limit), offset: String(offset) });
    const { target } = call.query;
    if (target !== undefined) {
      query.set("target", `eq.${JSON.parse(target)}`);
      query.set("gone_at", "is.null");
      query.set("order", "schema_name,name");
    }
    const view = target === undefined ? "assets" : "target_tables";
    const answer = await call.around.database.rows(view, query, call.member.jwt, call.trace);
    if (answer.status >= 300) return passOn(answer);
    const items = JSON.parse(answer.text);
    return json(200, { items, next: items.length === limit ? String(offset + limit) : null });
  },
};
