import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/namespaces/{namespace}/datasets/{dataset}",
  access: "member",
  name: "marquez_dataset",
  summary: "Gets a dataset, as Marquez does",
  parameters: { namespace: { type: "string" }, dataset: { type: "string" } },
  answers: { 200: { description: "The dataset", schema: to("MarquezDataset") } },
  handle: forward("marquez_datasets"),
};
