import { extended } from "../../../_shared/json_text.ts";
import { passOn, Route } from "../../../_shared/route.ts";
import { attemptId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/attempts/{attempt_id}/report",
  access: "attempt",
  name: "report_attempt",
  summary: "An executor outside tells of its attempt's progress or end",
  parameters: { attempt_id: attemptId },
  description:
    "The end is kept for the runner that holds the attempt; it looks at what was made and writes it down.",
  body: {
    kind: "object",
    limit: 8 * 1024 * 1024,
    schema: {
      type: "object",
      required: ["event"],
      properties: {
        event: { type: "string", enum: ["progress", "complete", "fail"] },
        percent: { type: "number", minimum: 0, maximum: 100 },
        message: { type: "string" },
        result: { type: "object" },
        error: { type: ["object", "string"] },
        retryable: { type: "boolean" },
        external_id: { type: "string" },
      },
    },
  },
  answers: { 200: { description: "{accepted, cancel_requested}", schema: to("Thing") } },
  handle: async (call) => {
    const token = JSON.stringify(call.attempt.token);
    return passOn(await call.ask("attempt_report", extended(call.body.text, { token })));
  },
};
