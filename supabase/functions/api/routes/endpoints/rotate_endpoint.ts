import { forward, Route } from "../../../_shared/route.ts";
import { endpointId } from "../../shapes/callbacks.ts";

export const route: Route = {
  method: "POST",
  path: "/endpoints/{endpoint_id}/rotate",
  access: "member",
  name: "rotate_endpoint",
  summary: "Signs with a new secret; for a day with the old one as well, unless it is revoked (admins)",
  parameters: { endpoint_id: endpointId },
  body: {
    kind: "object",
    required: false,
    schema: {
      type: "object",
      properties: { revoke: { type: "boolean", description: "the old secret leaked: it signs no more" } },
    },
  },
  answers: {
    200: {
      description: "The version that signs from now on",
      schema: {
        type: "object",
        properties: {
          endpoint_id: { type: "string", format: "uuid" },
          secret_version: { type: "integer" },
        },
      },
    },
  },
  handle: forward("rotate_endpoint"),
};
