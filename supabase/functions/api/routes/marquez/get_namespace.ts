import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/namespaces/{namespace}",
  access: "member",
  name: "marquez_namespace",
  summary: "Gets a namespace, as Marquez does",
  parameters: { namespace: { type: "string" } },
  answers: { 200: { description: "The namespace", schema: to("MarquezNamespace") } },
  handle: forward("marquez_namespaces"),
};
