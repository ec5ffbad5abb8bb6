import { passOn, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { withAddress } from "./address.ts";

export const route: Route = {
  method: "POST",
  path: "/runs",
  access: "member",
  name: "submit_runs",
  summary: "Submits up to 1000 runs, all or none",
  body: { kind: "array", schema: { type: "array", maxItems: 1000, items: to("Submission") } },
  answers: {
    202: {
      description: "The runs, in the order of the request",
      schema: { type: "array", items: to("SubmittedRun") },
    },
  },
  handle: async (call) => passOn(withAddress(call, await call.ask("submit_runs", call.body.text))),
};
