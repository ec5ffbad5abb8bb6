import { passOn, Route } from "../../_shared/route.ts";
import { to } from "../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/health",
  access: "public",
  name: "health",
  summary: "Tells whether the doors and the runners are there; nothing of any tenant",
  answers: { 200: { description: "{status, runners, queue_depth}", schema: to("Thing") } },
  handle: async (call) => passOn(await call.ask("health", "{}")),
};
