import { passOn, Route } from "../../../_shared/route.ts";
import { withOwnAddress } from "./address.ts";
import { runId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/runs/{run_id}",
  access: "member",
  name: "get_run",
  summary: "Shows a run with its tasks, attempts, artifacts and tables",
  parameters: { run_id: runId },
  answers: { 200: { description: "The run", schema: to("Run") } },
  handle: async (call) => passOn(withOwnAddress(call, await call.ask("get_run", call.everything))),
};
