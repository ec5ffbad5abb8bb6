import { forward, Route } from "../../../_shared/route.ts";
import { runId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/runs/{run_id}/repair",
  access: "member",
  name: "repair_run",
  summary: "Does again, in the same run, what did not succeed",
  description:
    "What succeeded is kept. The run ends once more and says so once more. From the second repair on, " +
    "latest_repair_id names the repair that the caller has seen last.",
  parameters: { run_id: runId },
  body: { kind: "object", required: false, schema: to("RepairOrder") },
  answers: { 202: { description: "The tasks wait anew", schema: to("Repair") } },
  handle: forward("repair_run"),
};
