import { forward, Route } from "../../../_shared/route.ts";
import { endpointFields, endpointId } from "../../shapes/callbacks.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "PATCH",
  path: "/endpoints/{endpoint_id}",
  access: "member",
  name: "update_endpoint",
  summary: "Changes an endpoint, switches it off or on again (admins)",
  parameters: { endpoint_id: endpointId },
  body: {
    kind: "object",
    schema: { type: "object", properties: { ...endpointFields, enabled: { type: "boolean" } } },
  },
  answers: { 200: { description: "The endpoint", schema: to("Endpoint") } },
  handle: forward("update_endpoint"),
};
