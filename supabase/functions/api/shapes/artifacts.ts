import { Schema } from "../../_shared/schema.ts";
import { bigint, url } from "./words.ts";

export const artifactId: Schema = { type: "string", format: "uuid", description: "the artifact" };

const classification: Schema = { type: "string", enum: ["internal", "confidential"] };
const versionNumber: Schema = { type: "integer", minimum: 1 };

export const Artifact: Schema = {
  type: "object",
  properties: {
    artifact_id: { type: "string", format: "uuid" },
    name: { type: "string" },
    kind: { type: "string" },
    description: { type: ["string", "null"] },
    classification,
    aliases: { type: "object", additionalProperties: versionNumber },
    tags: { type: "object", additionalProperties: { type: "string" } },
    node_id: { type: "string", description: "its name in the lineage" },
    versions: {
      type: "array",
      description: "newest first",
      items: {
        type: "object",
        properties: {
          version: versionNumber,
          state: { type: "string", enum: ["PENDING", "READY", "REFUSED", "EXPIRED"] },
          size: bigint,
          sha256: { type: ["string", "null"] },
          content_type: { type: "string" },
          run_id: { ...bigint, type: ["integer", "null"] },
          provenance: { type: "object", description: "inputs, code, task_key, job_id" },
          findings: { description: "why it was refused: line and rule, never the secret" },
          gone: { type: ["object", "null"], description: "when and why its bytes were let go" },
        },
      },
    },
    next: { type: ["integer", "null"], description: "cursor of older versions" },
  },
};

export const ArtifactVersion: Schema = {
  type: "object",
  required: ["artifact_id", "version", "state"],
  properties: {
    artifact_id: { type: "string", format: "uuid" },
    version: { type: "integer" },
    state: { type: "string", enum: ["PENDING", "READY", "REFUSED", "EXPIRED"] },
    size: bigint,
    upload_url: { ...url, description: "Takes one PUT of the bytes." },
    resumable: {
      type: "object",
      description: "The same right as an upload in parts (TUS 1.0.0), for more than 6 MiB.",
      properties: {
        url: { ...url, description: "POST here begins; Location takes the parts." },
        headers: {
          type: "object",
          additionalProperties: { type: "string" },
          description: "sent with each request",
        },
        metadata: {
          type: "object",
          additionalProperties: { type: "string" },
          description: "for Upload-Metadata",
        },
      },
    },
  },
};

export const ArtifactChange: Schema = {
  type: "object",
  properties: {
    description: { type: ["string", "null"], maxLength: 4000 },
    classification,
    tags: {
      type: "object",
      additionalProperties: { type: ["string", "null"], maxLength: 1000 },
      description: "null takes a tag away",
    },
    aliases: {
      type: "object",
      description:
        "A version moves the alias there, null takes it away; {version, was} moves it only from there.",
      additionalProperties: {
        oneOf: [
          { type: ["integer", "null"], minimum: 1 },
          {
            type: "object",
            properties: {
              version: { type: ["integer", "null"], minimum: 1 },
              was: { type: ["integer", "null"], minimum: 1 },
            },
          },
        ],
      },
    },
  },
};

export const ArtifactUsage: Schema = {
  type: "object",
  properties: {
    used_bytes: { ...bigint, description: "stored or announced; each content counts once" },
    max_stored_bytes: bigint,
    max_artifact_bytes: bigint,
    artifact_retention_days: { type: ["integer", "null"], description: "null: for ever" },
    contents: bigint,
  },
};
