import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/catalog/ingest",
  access: "member",
  name: "catalog_ingest",
  summary: "Takes what another system tells of itself: schemas, or Odoo's models; it is all of that catalog",
  body: { kind: "object", schema: to("CatalogDocument"), limit: 16 * 1024 * 1024 },
  answers: { 200: { description: "What was seen, changed and is gone", schema: to("Thing") } },
  handle: forward("catalog_ingest"),
};
