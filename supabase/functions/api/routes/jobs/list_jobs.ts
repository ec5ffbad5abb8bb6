import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/jobs",
  access: "member",
  name: "list_jobs",
  summary: "Lists jobs",
  query: { name: { type: "string" }, ...paging },
  answers: { 200: { description: "Jobs", schema: page(to("Job")) } },
  handle: forward("list_jobs"),
};
