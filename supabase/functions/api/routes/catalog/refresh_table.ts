import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/catalog/refresh",
  access: "member",
  name: "catalog_refresh",
  summary:
    "Brings a table up to date: runs the jobs that it is made by and of, as far as something has changed",
  body: { kind: "object", schema: to("RefreshOrder") },
  answers: {
    202: { description: "The plan and the run", schema: to("Refresh") },
    200: {
      description: "The plan; run_id is null where nothing is stale or dry_run was said",
      schema: to("Refresh"),
    },
  },
  handle: forward("catalog_refresh"),
};
