import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { paging } from "./paging.ts";

export const route: Route = {
  method: "GET",
  path: "/namespaces",
  access: "member",
  name: "marquez_namespaces",
  summary: "Lists namespaces, as Marquez does",
  query: { ...paging },
  answers: { 200: { description: "Namespaces", schema: to("MarquezNamespaces") } },
  handle: forward("marquez_namespaces"),
};
