import { forward, Route } from "../../../_shared/route.ts";
import { endpointId } from "../../shapes/callbacks.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "DELETE",
  path: "/endpoints/{endpoint_id}",
  access: "member",
  name: "delete_endpoint",
  summary: "Deletes an endpoint",
  parameters: { endpoint_id: endpointId },
  answers: { 200: { description: "The endpoint is gone", schema: to("Thing") } },
  handle: forward("delete_endpoint"),
};
