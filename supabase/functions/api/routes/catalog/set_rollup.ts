import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/catalog/rollups",
  access: "member",
  name: "set_rollup",
  summary: "Makes a table of gold that is the sums of another, kept with each publication of that",
  body: { kind: "object", schema: to("Rollup") },
  answers: { 200: { description: "The rollup", schema: to("Rollup") } },
  handle: forward("set_rollup"),
};
