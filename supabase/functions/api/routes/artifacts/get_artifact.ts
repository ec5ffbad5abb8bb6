import { forward, Route } from "../../../_shared/route.ts";
import { artifactId } from "../../shapes/artifacts.ts";
import { paging } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/artifacts/{artifact_id}",
  access: "member",
  name: "get_artifact",
  summary: "Shows an artifact with its aliases, its tags and its versions, newest first",
  parameters: { artifact_id: artifactId },
  query: paging,
  answers: { 200: { description: "The artifact", schema: to("Artifact") } },
  handle: forward("get_artifact"),
};
