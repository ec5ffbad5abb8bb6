import { bodyLimit } from "../_shared/body.ts";
import { EdgeCode, edgeErrors } from "../_shared/errors.ts";
import { Content, Route } from "../_shared/route.ts";
import { Schema } from "../_shared/schema.ts";
import { shapes, to } from "./shapes/table.ts";

/** The OpenAPI 3.1 document of `routes` as served below `server`. The routes are its only source. */
export function openapi(routes: readonly Route[], server: string): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    (paths[route.path] ??= {})[route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Control Room",
      version: "1",
      description: "Jobs, runs, lineage, artifacts and callbacks. Every error has PostgREST's shape; " +
        "docs/errors.md lists the codes.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: server }],
    paths,
    components: {
      schemas: shapes,
      securitySchemes: {
        member: {
          type: "http",
          scheme: "bearer",
          description:
            "A Supabase token with tenant_id and role (HS256, or ES256 by JWKS), or an access token cr_…",
        },
        check: { type: "http", scheme: "bearer", description: "The token of one upload's check, crck_…" },
        sweep: { type: "http", scheme: "bearer", description: "The token of one claimed sweep, crsw_…" },
        attempt: { type: "http", scheme: "bearer", description: "The token of one attempt, crat_…" },
      },
    },
  };
}

function operation(route: Route): Readonly<Record<string, unknown>> {
  const { parameters = {}, query = {}, body } = route;
  const described = (place: "path" | "query", required: boolean) => ([name, schema]: [string, Schema]) => ({
    name,
    in: place,
    required,
    schema,
    ...(schema.type === "array" ? { style: "form", explode: false } : {}),
  });
  return {
    operationId: route.name,
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    tags: [route.path.split("/")[1]],
    ...(route.retires === undefined ? {} : {
      deprecated: true,
      "x-sunset": `gone from ${route.retires.sunset} on; instead: ${route.retires.instead}`,
    }),
    security: route.access === "public" ? [] : [{ [route.access]: [] }],
    parameters: [
      ...Object.entries(parameters).map(described("path", true)),
      ...Object.entries(query).map(described("query", false)),
    ],
    ...(body === undefined ? {} : {
      requestBody: {
        required: body.required ?? true,
        description: `At most ${body.limit ?? bodyLimit} bytes.`,
        content: { "application/json": { schema: body.schema } },
      },
    }),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, content]) => [status, response(content)]),
      ),
      ...(route.access === "public" ? {} : refusals(["TOKEN_MISSING", "ROLE_INSUFFICIENT"])),
      default: {
        description: "What went wrong",
        content: { "application/json": { schema: to("Error") } },
      },
    },
  };
}

function response({ description, schema, types = [] }: Content): Readonly<Record<string, unknown>> {
  const texts = Object.fromEntries(types.map((type) => [type, { schema: { type: "string" } }]));
  const lined = types.includes("application/x-ndjson");
  const json = schema === undefined
    ? {}
    : { [lined ? "application/x-ndjson" : "application/json"]: { schema } };
  const content = { ...texts, ...json };
  return { description, ...(Object.keys(content).length === 0 ? {} : { content }) };
}

function refusals(codes: readonly EdgeCode[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(codes.map((code) => [
    edgeErrors[code].status,
    { description: edgeErrors[code].meaning, content: { "application/json": { schema: to("Error") } } },
  ]));
}
