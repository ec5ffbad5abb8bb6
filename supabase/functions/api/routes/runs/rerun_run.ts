import { passOn, Route } from "../../../_shared/route.ts";
import { runId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";
import { withAddress } from "./address.ts";

export const route: Route = {
  method: "POST",
  path: "/runs/{run_id}/rerun",
  access: "member",
  name: "rerun_run",
  summary: "Runs the same version with the same parameters again, whole or from a task on",
  parameters: { run_id: runId },
  body: {
    kind: "object",
    required: false,
    schema: {
      type: "object",
      properties: {
        from_task: {
          type: "string",
          description: "what is neither it nor after it, and succeeded, is taken over",
        },
        idempotency_key: { type: "string" },
      },
    },
  },
  answers: {
    200: { description: "The run that this idempotency_key made before", schema: to("SubmittedRun") },
    202: { description: "The new run waits in the queue", schema: to("SubmittedRun") },
  },
  handle: async (call) => passOn(withAddress(call, await call.ask("rerun_run", call.everything))),
};
