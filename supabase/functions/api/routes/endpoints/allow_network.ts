import { forward, Route } from "../../../_shared/route.ts";
import { ports } from "../../shapes/callbacks.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/callback-networks",
  access: "member",
  name: "allow_network",
  summary: "Lets callbacks reach a private network, within the platform's bounds (admins; it is audited)",
  body: {
    kind: "object",
    schema: {
      type: "object",
      required: ["cidr"],
      properties: { cidr: { type: "string", description: "such as 10.1.0.0/16" }, ports },
    },
  },
  answers: { 201: { description: "The network", schema: to("Network") } },
  handle: forward("allow_network"),
};
