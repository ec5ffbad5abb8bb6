import { forward, Route } from "../../../_shared/route.ts";
import { artifactId } from "../../shapes/artifacts.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "PATCH",
  path: "/artifacts/{artifact_id}",
  access: "member",
  name: "update_artifact",
  summary: "Changes description, classification, tags and aliases, all of it at once or nothing of it",
  parameters: { artifact_id: artifactId },
  body: { kind: "object", schema: to("ArtifactChange") },
  answers: { 200: { description: "The artifact", schema: to("Artifact") } },
  handle: forward("update_artifact"),
};
