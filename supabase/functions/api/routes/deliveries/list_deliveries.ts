import { forward, Route } from "../../../_shared/route.ts";
import { deliveryState, endpointId } from "../../shapes/callbacks.ts";
import { page, paging } from "../../shapes/paging.ts";
import { runId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/deliveries",
  access: "member",
  name: "list_deliveries",
  summary: "Lists deliveries with their tries",
  query: {
    endpoint_id: endpointId,
    run_id: runId,
    state: deliveryState,
    ...paging,
  },
  answers: { 200: { description: "Deliveries", schema: page(to("Delivery")) } },
  handle: forward("list_deliveries"),
};
