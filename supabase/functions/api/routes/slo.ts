import { forward, Route } from "../../_shared/route.ts";
import { to } from "../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/slo",
  access: "member",
  name: "slo",
  summary: "The success figures of the tenant, as the system itself counts them",
  query: { window_hours: { type: "integer", minimum: 1 } },
  answers: { 200: { description: "Figures", schema: to("Thing") } },
  handle: forward("slo"),
};
