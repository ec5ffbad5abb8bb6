import { Route } from "../../../_shared/route.ts";
import { artifactId } from "../../shapes/artifacts.ts";
import { handOut } from "./handed_out.ts";

export const route: Route = {
  method: "GET",
  path: "/artifacts/{artifact_id}/download",
  access: "member",
  name: "download_artifact",
  summary: "Sends to a signed URL of the bytes, good for five minutes",
  parameters: { artifact_id: artifactId },
  query: { version: { type: "integer", minimum: 1 }, alias: { type: "string" } },
  answers: { 302: { description: "Location is the signed URL" } },
  handle: async (call) => await handOut(call, "artifact_download", call.everything),
};
