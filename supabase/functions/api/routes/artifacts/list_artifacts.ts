import { forward, Route } from "../../../_shared/route.ts";
import { page, paging } from "../../shapes/paging.ts";
import { runId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/artifacts",
  access: "member",
  name: "list_artifacts",
  summary: "Lists artifacts",
  query: {
    name: { type: "string" },
    kind: { type: "string" },
    run_id: runId,
    sha256: { type: "string", description: "with a version of this digest" },
    tag: { type: "string", description: "key, or key=value" },
    ...paging,
  },
  answers: { 200: { description: "Artifacts", schema: page(to("Artifact")) } },
  handle: forward("list_artifacts"),
};
