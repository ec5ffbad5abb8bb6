import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/trusts",
  access: "member",
  name: "create_trust",
  summary: "Lets the workflows of a repository in, by OIDC; admins only",
  body: {
    kind: "object",
    schema: {
      type: "object",
      required: ["name", "repository", "role"],
      properties: {
        name: { type: "string" },
        repository: { type: "string", description: "owner/name" },
        repository_id: {
          type: "string",
          description: "pins the repository itself, whoever bears its name later",
        },
        ref: {
          type: "string",
          description: "refs/heads/main, refs/tags/v*, or * for any; this or environment",
        },
        environment: { type: "string" },
        pull_requests: { type: "boolean", description: "also workflows of pull requests; not unless said" },
        role: { type: "string", enum: ["viewer", "operator", "admin"] },
        token_seconds: { type: "integer", minimum: 60, maximum: 3600 },
        issuer: { type: "string", description: "GitHub Actions unless said" },
      },
    },
  },
  answers: { 201: { description: "The trust", schema: to("Trust") } },
  handle: forward("create_trust"),
};
