import { object } from "../../../_shared/json_text.ts";
import { Route } from "../../../_shared/route.ts";
import { attemptId } from "../../shapes/runs.ts";
import { handOut } from "../artifacts/handed_out.ts";

export const route: Route = {
  method: "GET",
  path: "/attempts/{attempt_id}/parcels/{name}",
  access: "attempt",
  name: "get_parcel",
  summary: "Sends an attempt to the bytes of one of its parcels",
  parameters: { attempt_id: attemptId, name: { type: "string" } },
  answers: { 302: { description: "Location is the signed URL" } },
  handle: async (call) => {
    const token = JSON.stringify(call.attempt.token);
    return await handOut(call, "attempt_parcel", object({ token, name: call.parameters.name }));
  },
};
