import { forward, Route } from "../../../_shared/route.ts";
import { artifactId } from "../../shapes/artifacts.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/artifacts/{artifact_id}",
  access: "member",
  name: "get_artifact",
  summary: "Shows an artifact with its versions",
  parameters: { artifact_id: artifactId },
  answers: { 200: { description: "The artifact", schema: to("Artifact") } },
  handle: forward("get_artifact"),
};
