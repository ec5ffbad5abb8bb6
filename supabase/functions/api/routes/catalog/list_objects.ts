import { extended } from "../../../_shared/json_text.ts";
import { passOn, Route } from "../../../_shared/route.ts";
import { Schema } from "../../../_shared/schema.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const kinds = ["catalog", "schema", "table", "volume", "column"] as const;

/** What lists of the catalog are narrowed by. */
export const narrowing = {
  q: { type: "string", description: 'words, "a phrase", or, -without; the last may be unfinished' },
  in: { type: "string", description: "below this object: main.gold, main.gold.orders" },
  layer: { type: "string", enum: ["bronze", "silver", "gold"] },
  type: { type: "string", description: "MANAGED, EXTERNAL, VIEW, …; of columns the database's" },
  owner: { type: "string" },
  tag: { type: "string", description: "name, or name=text" },
  classification: { type: "string", enum: ["internal", "confidential"] },
  gone: { type: "boolean", description: "with what is no more" },
  ...paging,
} as const satisfies Record<string, Schema>;

/** Lists objects of one kind. */
export function listOf(kind: typeof kinds[number]): Route["handle"] {
  return async (call) =>
    passOn(await call.ask("list_objects", extended(call.everything, { kind: JSON.stringify(kind) })));
}

export const route: Route = {
  method: "GET",
  path: "/catalog/objects",
  access: "member",
  name: "list_objects",
  summary: "Finds objects of the catalog: with q by their words, best first; else by their place",
  query: { ...narrowing, kind: { type: "string", enum: [...kinds] } },
  answers: { 200: { description: "Objects", schema: page(to("CatalogObject")) } },
  handle: async (call) => passOn(await call.ask("list_objects", call.everything)),
};
