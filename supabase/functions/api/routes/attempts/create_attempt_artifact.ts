import { extended } from "../../../_shared/json_text.ts";
import { json, Route } from "../../../_shared/route.ts";
import { attemptId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";
import { reserve } from "../artifacts/reservation.ts";

export const route: Route = {
  method: "POST",
  path: "/attempts/{attempt_id}/artifacts",
  access: "attempt",
  name: "create_attempt_artifact",
  summary: "Reserves a version for a file that an attempt made, and gives the URL to PUT it to",
  parameters: { attempt_id: attemptId },
  body: {
    kind: "object",
    schema: {
      type: "object",
      required: ["name", "kind", "size", "sha256"],
      properties: {
        name: { type: "string" },
        kind: { type: "string" },
        size: { type: "integer", format: "int64" },
        sha256: { type: "string", pattern: "^[0-9a-f]{64}$" },
        content_type: { type: "string" },
      },
    },
  },
  answers: { 201: { description: "The version", schema: to("ArtifactVersion") } },
  handle: async (call) => {
    const token = JSON.stringify(call.attempt.token);
    const { version, place } = await reserve(call, "attempt_artifact", extended(call.body.text, { token }));
    return json(201, { ...version, ...await call.around.storage.upload(place, true) });
  },
};
