import { passOn, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { withAddress } from "../runs/address.ts";

export const route: Route = {
  method: "POST",
  path: "/jobs/run",
  access: "member",
  name: "run_job",
  summary: "Submits a run: a spec with or without code, or a job",
  body: { kind: "object", schema: to("Submission") },
  answers: {
    200: { description: "The run that this idempotency_key made before", schema: to("SubmittedRun") },
    202: { description: "The run waits in the queue", schema: to("SubmittedRun") },
  },
  handle: async (call) => passOn(withAddress(call, await call.ask("run_job", call.body.text))),
};
