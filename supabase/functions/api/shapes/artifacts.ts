import { Schema } from "../../_shared/schema.ts";
import { bigint, url } from "./words.ts";

export const artifactId: Schema = { type: "string", format: "uuid", description: "the artifact" };

export const Artifact: Schema = {
  type: "object",
  properties: {
    artifact_id: { type: "string", format: "uuid" },
    name: { type: "string" },
    kind: { type: "string" },
    versions: { type: "array", items: { type: "object" } },
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
  },
};
