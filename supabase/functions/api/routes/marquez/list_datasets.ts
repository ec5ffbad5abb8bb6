import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { paging } from "./paging.ts";

export const route: Route = {
  method: "GET",
  path: "/namespaces/{namespace}/datasets",
  access: "member",
  name: "marquez_datasets",
  summary: "Lists datasets, as Marquez does",
  parameters: { namespace: { type: "string" } },
  query: { ...paging },
  answers: { 200: { description: "Datasets", schema: to("MarquezDatasets") } },
  handle: forward("marquez_datasets"),
};
