import { forward, Route } from "../../../_shared/route.ts";
import { artifactId } from "../../shapes/artifacts.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/artifacts/{artifact_id}/complete",
  access: "member",
  name: "complete_artifact",
  summary: "Says that the bytes are there; the runner then checks size, sha256 and secrets",
  parameters: { artifact_id: artifactId },
  body: {
    kind: "object",
    required: false,
    schema: { type: "object", properties: { version: { type: "integer", minimum: 1 } } },
  },
  answers: { 202: { description: "The version waits for its check", schema: to("ArtifactVersion") } },
  handle: forward("complete_artifact"),
};
