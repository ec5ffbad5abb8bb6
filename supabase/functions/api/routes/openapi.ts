import { openapi } from "../openapi.ts";
import { Route } from "../../_shared/route.ts";

/** Made from the route table on the first request, and kept: the table does not change while the function lives. */
let document: { readonly of: readonly Route[]; readonly at: string; readonly text: string } | undefined;

export const route: Route = {
  method: "GET",
  path: "/openapi.json",
  access: "public",
  name: "openapi",
  summary: "This document",
  answers: { 200: { description: "OpenAPI 3.1", schema: { type: "object" } } },
  handle: (call) => {
    const { routes, settings } = call.around;
    if (document?.of !== routes || document.at !== settings.publicUrl) {
      document = {
        of: routes,
        at: settings.publicUrl,
        text: JSON.stringify(openapi(routes, call.address(""))),
      };
    }
    return Promise.resolve(
      new Response(document.text, {
        headers: { "content-type": "application/json; charset=utf-8", "cache-control": "public, max-age=60" },
      }),
    );
  },
};
