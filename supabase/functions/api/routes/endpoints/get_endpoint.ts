import { forward, Route } from "../../../_shared/route.ts";
import { endpointId } from "../../shapes/callbacks.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/endpoints/{endpoint_id}",
  access: "member",
  name: "get_endpoint",
  summary: "Shows an endpoint",
  parameters: { endpoint_id: endpointId },
  answers: { 200: { description: "The endpoint", schema: to("Endpoint") } },
  handle: forward("get_endpoint"),
};
