import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { paging } from "./paging.ts";

export const route: Route = {
  method: "GET",
  path: "/events/lineage",
  access: "member",
  name: "marquez_events",
  summary: "Lists run events as they came, as Marquez does",
  query: {
    after: { type: "string", description: "received then or later; may be empty" },
    before: { type: "string", description: "received earlier; may be empty" },
    sortDirection: { type: "string", enum: ["asc", "desc"], default: "desc" },
    ...paging,
  },
  answers: { 200: { description: "Events", schema: to("MarquezEvents") } },
  handle: forward("marquez_events"),
};
