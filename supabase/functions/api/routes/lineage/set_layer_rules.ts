import { forward, Route } from "../../../_shared/route.ts";
import { page } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/lineage/rules",
  access: "member",
  name: "set_layer_rules",
  summary: "Says which layer never reads which; replaces what was said before (admins; it is audited)",
  body: {
    kind: "object",
    schema: {
      type: "object",
      required: ["rules"],
      properties: { rules: { type: "array", items: to("LayerRule") } },
    },
  },
  answers: { 200: { description: "The rules", schema: page(to("LayerRule")) } },
  handle: forward("set_layer_rules"),
};
