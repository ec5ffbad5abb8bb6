import { forward, Route } from "../../_shared/route.ts";
import { after, page, paging, to } from "../shapes.ts";

export const route: Route = {
  method: "GET",
  path: "/events",
  access: "member",
  name: "list_events",
  summary: "Lists what the runs of the tenant announced",
  query: { after, limit: paging.limit },
  answers: { 200: { description: "Events", schema: page(to("Event")) } },
  handle: forward("run_events"),
};
