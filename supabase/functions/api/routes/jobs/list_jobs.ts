import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";
import { lastRunStates } from "../marquez/paging.ts";

export const route: Route = {
  method: "GET",
  path: "/jobs",
  access: "member",
  name: "list_jobs",
  summary: "Lists jobs",
  description:
    "With `offset`, which Marquez's web UI always says, the jobs of the lineage in Marquez's form.",
  query: {
    name: { type: "string" },
    ...paging,
    offset: { type: "integer", minimum: 0, maximum: 10000000, description: "Marquez's word" },
    lastRunStates,
  },
  answers: {
    200: {
      description: "Jobs",
      schema: {
        anyOf: [page(to("JobSummary")), {
          type: "object",
          required: ["jobs", "totalCount"],
          description: "Marquez's form",
        }],
      },
    },
  },
  handle: (call) => forward(call.query.offset === undefined ? "list_jobs" : "marquez_jobs")(call),
};
