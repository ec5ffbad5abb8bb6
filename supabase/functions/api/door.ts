import { Body, bodyLimit, readBody } from "../_shared/body.ts";
import { database, Trace } from "../_shared/database.ts";
import { Refusal, refuse } from "../_shared/errors.ts";
import { Caller, Identity } from "../_shared/identity.ts";
import { JsonText } from "../_shared/json_text.ts";
import { origin } from "../_shared/origin.ts";
import { readParameter } from "../_shared/parameter.ts";
import { Call, Route, Surroundings } from "../_shared/route.ts";
import { deprecationHeaders } from "../_shared/deprecation.ts";
import { Match, router } from "../_shared/router.ts";
import { Schema } from "../_shared/schema.ts";
import { Settings } from "../_shared/settings.ts";
import { storage } from "../_shared/storage.ts";
import { open, RateLimiter } from "../_shared/rate_limit.ts";

const noBody: Body = { text: "{}", value: {} };
const version = "/api/v1/";
const ours = /^bearer +cr/i;
const requestIdForm = /^[\w.:-]{1,128}$/;
const passedOn = ["traceparent", "x-forwarded-for", "x-client-info"] as const;

/** The whole API as one function from request to response: find, recognise, read, call, answer. */
export function door(
  routes: readonly Route[],
  settings: Settings,
  identity: Identity,
  rateLimiter: RateLimiter = open,
) {
  const around: Surroundings = {
    settings,
    identity,
    routes,
    database: database(settings),
    storage: storage(settings),
  };
  const way = router(routes);
  const where = origin(settings.masterKey);
  const told = `${settings.publicUrl}/functions/v1/api/v1/openapi.json`;
  const retiring = routes.some((route) => route.retires !== undefined);

  async function answer(request: Request, id: string): Promise<Response> {
    const url = new URL(request.url);
    const path = pathBelowVersion(url.pathname);
    if (request.method === "OPTIONS") return preflight(path, way.methods(path), request);
    const { route, values } = way.find(request.method, path);
    const traced = { ...trace(request, id), ...await where.of(request) };
    // of a token of ours the database has to be asked
    if (route.access === "public") await rateLimiter.passStranger(request, traced);
    else if (ours.test(request.headers.get("authorization") ?? "")) await rateLimiter.refuseShut(request);
    const caller = await recognise(route, request, identity);
    if (caller?.kind === "member") await rateLimiter.pass(caller);
    const parameters = readValues(route, values);
    const query = readQuery(route.query, url.searchParams);
    const body = route.body === undefined
      ? noBody
      : await readBody(request, route.body.kind, route.body.required ?? true, route.body.limit ?? bodyLimit);
    return await route.handle(new Call(around, request, caller, parameters, query, body, traced));
  }

  /** The route that a request is for, if any: what is refused is told of its deprecation as well. */
  function asked(request: Request): Route | undefined {
    try {
      return way.find(request.method, pathBelowVersion(new URL(request.url).pathname)).route;
    } catch {
      return undefined;
    }
  }

  /** Whoever is refused has taken a stranger's leave: who guesses tokens is soon told to wait. */
  async function counted(refusal: Response, request: Request, id: string): Promise<Response> {
    try {
      await rateLimiter.passStranger(request, { ...trace(request, id), ...await where.of(request) });
      return refusal;
    } catch (error) {
      if (!(error instanceof Refusal && error.status === 429)) return refusal;
      await refusal.body?.cancel();
      return error.response();
    }
  }

  return async (request: Request): Promise<Response> => {
    const given = request.headers.get("x-request-id");
    const id = given !== null && requestIdForm.test(given) ? given : crypto.randomUUID();
    let response: Response;
    try {
      response = await answer(request, id);
    } catch (error) {
      response = error instanceof Refusal ? error.response() : failed(error, id);
    }
    if (response.status === 401) response = await counted(response, request, id);
    if (request.method === "HEAD") {
      await response.body?.cancel();
      response = new Response(null, response);
    }
    for (const [name, value] of retiring ? deprecationHeaders(asked(request)?.retires, told) : []) {
      response.headers.set(name, value);
    }
    response.headers.set("x-request-id", id);
    response.headers.set("x-content-type-options", "nosniff");
    response.headers.set("cache-control", response.headers.get("cache-control") ?? "no-store");
    response.headers.set("access-control-allow-origin", "*");
    response.headers.set("access-control-expose-headers", "*");
    return response;
  };
}

/** `/api/v1/…`: the platform has taken `/functions/v1` away already; the function is called `api`. */
function pathBelowVersion(path: string): string {
  const start = path.startsWith("/functions/v1/") ? "/functions/v1".length : 0;
  if (!path.startsWith(version, start)) throw refuse("ROUTE_NOT_FOUND", { details: path.slice(0, 200) });
  let end = path.length;
  while (end > start + version.length && path.charCodeAt(end - 1) === 0x2f) end--;
  return path.slice(start + version.length - 1, end);
}

async function recognise(route: Route, request: Request, identity: Identity): Promise<Caller | undefined> {
  if (route.access === "public") return undefined;
  const caller = await identity.caller(request);
  if (caller.kind === route.access) return caller;
  if (route.access === "attempt") throw refuse("ATTEMPT_TOKEN_INVALID");
  if (route.access === "check") throw refuse("CHECK_TOKEN_INVALID");
  if (route.access === "sweep") throw refuse("SWEEP_TOKEN_INVALID");
  throw refuse("TOKEN_INVALID", { details: "This route takes a member's token." });
}

function readValues(route: Route, values: Match["values"]): Record<string, JsonText> {
  const read: Record<string, JsonText> = {};
  for (const [name, text] of Object.entries(values)) {
    read[name] = readParameter(name, route.parameters?.[name] ?? { type: "string" }, text);
  }
  return read;
}

/** Known keys only: what else stands in the query is ignored, as PostgREST's clients expect of RPCs. */
function readQuery(schemas: Route["query"], query: URLSearchParams): Record<string, JsonText> {
  const read: Record<string, JsonText> = {};
  for (const [name, schema] of Object.entries<Schema>(schemas ?? {})) {
    const text = query.get(name);
    if (text !== null && text !== "") read[name] = readParameter(name, schema, text);
  }
  return read;
}

function trace(request: Request, id: string): Trace {
  const headers: Record<string, string> = { "x-request-id": id };
  for (const name of passedOn) {
    const value = request.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  return headers;
}

/** Any origin, no credentials: the bearer is the only authority, and a browser never sends it by itself. */
function preflight(path: string, methods: string[], request: Request): Response {
  if (methods.length === 0) throw refuse("ROUTE_NOT_FOUND", { details: `OPTIONS ${path.slice(0, 200)}` });
  const allow = methods.join(", ");
  return new Response(null, {
    status: 204,
    headers: {
      allow,
      "access-control-allow-methods": allow,
      "access-control-allow-headers": request.headers.get("access-control-request-headers") ??
        "authorization, apikey, content-type, x-client-info",
      "access-control-max-age": "86400",
    },
  });
}

/** The log gets the error and the request's id, never its body or its token. */
function failed(error: unknown, id: string): Response {
  console.error(
    JSON.stringify({ level: "error", request_id: id, error: String((error as Error)?.stack ?? error) }),
  );
  return refuse("INTERNAL_ERROR", { details: `request ${id}` }).response();
}
