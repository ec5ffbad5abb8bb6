import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/tags",
  access: "member",
  name: "marquez_tags",
  summary: "Lists tags of the catalog, as Marquez does",
  answers: { 200: { description: "Tags", schema: to("MarquezTags") } },
  handle: forward("marquez_tags"),
};
