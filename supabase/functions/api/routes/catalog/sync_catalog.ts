import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/catalog/sync",
  access: "member",
  name: "catalog_sync",
  summary:
    "Brings the catalog up to date with the layers, the artifacts and what migrations have seen elsewhere",
  body: { kind: "object", schema: { type: "object" }, required: false },
  answers: {
    200: { description: "For each catalog what was seen, changed and is gone", schema: to("Thing") },
  },
  handle: forward("catalog_sync"),
};
