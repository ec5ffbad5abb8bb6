import { forward, Route } from "../../../_shared/route.ts";
import { artifactId } from "../../shapes/artifacts.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "DELETE",
  path: "/artifacts/{artifact_id}",
  access: "member",
  name: "delete_artifact",
  summary: "Deletes an artifact (admins; the record stays)",
  parameters: { artifact_id: artifactId },
  answers: { 200: { description: "The artifact is gone", schema: to("Thing") } },
  handle: forward("delete_artifact"),
};
