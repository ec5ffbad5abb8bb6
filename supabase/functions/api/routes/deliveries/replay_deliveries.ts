import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes.ts";

export const route: Route = {
  method: "POST",
  path: "/deliveries/replay",
  access: "member",
  name: "replay_deliveries",
  summary: "Delivers a range of dead deliveries once more",
  body: { kind: "object", schema: { type: "object" } },
  answers: { 202: { description: "How many are due again", schema: to("Thing") } },
  handle: forward("replay_deliveries"),
};
