import { object } from "../../../_shared/json_text.ts";
import { Route } from "../../../_shared/route.ts";
import { handOut } from "../artifacts/handed_out.ts";

export const route: Route = {
  method: "GET",
  path: "/uploads/bytes",
  access: "check",
  name: "upload_bytes",
  summary: "Sends the runner that checks an upload to its bytes",
  answers: { 302: { description: "Location is the signed URL" } },
  handle: async (call) =>
    await handOut(call, "check_bytes", object({ token: JSON.stringify(call.check.token) })),
};
