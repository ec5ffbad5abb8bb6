import { forward, Route } from "../../../_shared/route.ts";
import { deliveryState, endpointId, page, paging, runId, to } from "../../shapes.ts";

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
