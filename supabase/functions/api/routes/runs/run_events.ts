import { forward, Route } from "../../../_shared/route.ts";
import { after, page, paging } from "../../shapes/paging.ts";
import { runId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/runs/{run_id}/events",
  access: "member",
  name: "run_events",
  summary: "Lists what a run announced, to catch up without push",
  parameters: { run_id: runId },
  query: { after, limit: paging.limit },
  answers: { 200: { description: "Events", schema: page(to("Event")) } },
  handle: forward("run_events"),
};
