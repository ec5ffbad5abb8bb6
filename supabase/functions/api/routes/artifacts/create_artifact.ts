import { refuse } from "../../../_shared/errors.ts";
import { Call, json, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { inlineContent } from "./inline_content.ts";
import { reserve } from "./reservation.ts";

export const route: Route = {
  method: "POST",
  path: "/artifacts",
  access: "member",
  name: "create_artifact",
  summary:
    "Reserves an artifact version and gives the URL to PUT its bytes to, or takes small content at once",
  body: {
    kind: "object",
    schema: {
      type: "object",
      required: ["name", "kind"],
      properties: {
        name: { type: "string" },
        kind: { type: "string", enum: ["code", "sql", "diagram", "notebook", "report", "log", "data"] },
        size: { type: "integer", format: "int64", minimum: 0, maximum: 52428800 },
        sha256: { type: "string", pattern: "^[0-9a-f]{64}$" },
        content_type: { type: "string" },
        description: { type: "string" },
        classification: {
          type: "string",
          enum: ["internal", "confidential"],
          default: "confidential",
          description: "Who reads the bytes: every member, or operators and admins.",
        },
        inputs: {
          type: "array",
          maxItems: 100,
          description: "What it was made from; the lineage learns of it.",
          items: {
            type: "object",
            required: ["artifact_id"],
            properties: {
              artifact_id: { type: "string", format: "uuid" },
              version: { type: "integer", minimum: 1 },
            },
          },
        },
        content: {
          type: "string",
          description: "The bytes themselves, up to 1 MiB; size and sha256 are then counted here.",
        },
        encoding: { type: "string", enum: ["text", "base64"], default: "text" },
      },
    },
  },
  answers: {
    201: {
      description: "The version, PENDING until it is checked, or READY if its bytes are known",
      schema: to("ArtifactVersion"),
    },
  },
  handle: async (call) =>
    "content" in (call.body.value as object) ? await withContent(call) : await withoutContent(call),
};

async function withoutContent(call: Call): Promise<Response> {
  const { version, place } = await reserve(call, "create_artifact", call.body.text);
  // READY already: the tenant has bytes of this digest
  return json(
    201,
    version.state === "READY" ? version : { ...version, ...await call.around.storage.upload(place) },
  );
}

async function withContent(call: Call): Promise<Response> {
  const { content, encoding, ...described } = call.body.value as Record<string, unknown>;
  const { bytes, size, sha256 } = await inlineContent(content, encoding);
  for (const [name, counted] of Object.entries({ size, sha256 })) {
    if (described[name] !== undefined && described[name] !== counted) {
      throw refuse("BODY_INVALID", {
        message: `${name} does not fit the content.`,
        details: `${name} is ${counted}`,
      });
    }
  }
  const { version, place } = await reserve(
    call,
    "create_artifact",
    JSON.stringify({ ...described, size, sha256 }),
  );
  if (version.state === "READY") return json(201, { ...version, sha256 });
  const type = typeof described.content_type === "string"
    ? described.content_type
    : "application/octet-stream";
  await call.around.storage.put(place, bytes, type);
  const { artifact_id, version: number } = version;
  await call.need("complete_artifact", JSON.stringify({ artifact_id, version: number }));
  return json(201, { ...version, sha256 });
}
