import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { paging } from "./paging.ts";

export const route: Route = {
  method: "GET",
  path: "/search",
  access: "member",
  name: "marquez_search",
  summary: "Finds datasets and jobs by a part of their name, as Marquez does",
  query: {
    q: { type: "string" },
    filter: { type: "string", enum: ["DATASET", "JOB"] },
    sort: { type: "string", enum: ["NAME", "UPDATE_AT"], default: "NAME" },
    namespace: { type: "string" },
    limit: paging.limit,
  },
  answers: { 200: { description: "What was found", schema: to("MarquezSearch") } },
  handle: forward("marquez_search"),
};
