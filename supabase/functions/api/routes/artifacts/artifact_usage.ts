import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/artifacts/usage",
  access: "member",
  name: "artifact_usage",
  summary: "Tells how much of the tenant's quota is used",
  answers: { 200: { description: "Bytes stored or announced, and the limits", schema: to("ArtifactUsage") } },
  handle: forward("artifact_usage"),
};
