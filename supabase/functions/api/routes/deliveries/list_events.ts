import { forward, Route } from "../../../_shared/route.ts";
import { paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/events",
  access: "member",
  name: "list_events",
  summary: "Lists all events of the tenant in the order of commit, to catch up without push",
  query: {
    after: { type: "string", description: "the next of an earlier answer; from the start unless given" },
    limit: paging.limit,
  },
  answers: {
    200: {
      description: "Events; next is the after of the next call, also when there is nothing new",
      schema: {
        type: "object",
        required: ["items", "next"],
        properties: { items: { type: "array", items: to("Event") }, next: { type: "string" } },
      },
    },
  },
  handle: forward("list_events"),
};
