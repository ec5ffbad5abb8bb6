import { forward, Route } from "../../../_shared/route.ts";
import { endpointId, to } from "../../shapes.ts";

export const route: Route = {
  method: "POST",
  path: "/endpoints/{endpoint_id}/rotate",
  access: "member",
  name: "rotate_endpoint",
  summary: "Gives an endpoint its next secret; the old one signs beside it for a while",
  parameters: { endpoint_id: endpointId },
  body: { kind: "object", required: false, schema: { type: "object" } },
  answers: { 200: { description: "The endpoint", schema: to("Endpoint") } },
  handle: forward("rotate_endpoint"),
};
