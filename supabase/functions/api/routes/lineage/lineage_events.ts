import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";
import { bigint } from "../../shapes/words.ts";

export const route: Route = {
  method: "GET",
  path: "/lineage/events",
  access: "member",
  name: "lineage_events",
  summary: "Lists events as they came, newest first, with what is wrong with their facets",
  query: {
    run_id: { ...bigint, description: "of one run of ours" },
    after: { type: "string", format: "date-time", description: "received then or later" },
    before: { type: "string", format: "date-time", description: "received earlier" },
    faulty: { type: "boolean", description: "only those with a facet that OpenLineage would not take" },
    ...paging,
  },
  answers: { 200: { description: "Events", schema: page(to("StoredEvent")) } },
  handle: forward("lineage_events"),
};
