import { forward, Route } from "../../../_shared/route.ts";
import { runId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/runs/{run_id}/cancel",
  access: "member",
  name: "cancel_run",
  summary: "Asks a run to stop",
  parameters: { run_id: runId },
  body: { kind: "object", required: false, schema: { type: "object" } },
  answers: { 202: { description: "The run is asked to stop", schema: to("Thing") } },
  handle: forward("cancel_run"),
};
