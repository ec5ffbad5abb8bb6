import { forward, Route } from "../../../_shared/route.ts";
import { endpointFields } from "../../shapes/callbacks.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/endpoints",
  access: "member",
  name: "create_endpoint",
  summary: "Creates an endpoint that events are delivered to",
  body: {
    kind: "object",
    schema: {
      type: "object",
      required: ["url"],
      properties: { url: { type: "string", format: "uri" }, ...endpointFields },
    },
  },
  answers: { 201: { description: "The endpoint", schema: to("Endpoint") } },
  handle: forward("create_endpoint"),
};
