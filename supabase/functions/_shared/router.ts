import { refuse } from "./errors.ts";
import { Method, Route } from "./route.ts";

export interface Match {
  readonly route: Route;
  /** Path values, percent-decoded. */
  readonly values: Readonly<Record<string, string>>;
}

export interface Router {
  /** @throws Refusal ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED with Allow, FIELD_INVALID for bad escapes */
  find(method: string, path: string): Match;
  /** The methods of a path, OPTIONS and HEAD included; empty when there is no such path. */
  methods(path: string): string[];
}

interface Place {
  readonly segments: readonly string[];
  readonly verbs: Map<Method, Route>;
}

/** A path written out beats one with a parameter: `/jobs/run` is never the job called "run". */
export function router(routes: readonly Route[]): Router {
  const written = new Map<string, Place>();
  const patterns: Place[] = [];
  for (const route of routes) {
    const patterned = route.path.includes("{");
    let place = patterned
      ? patterns.find((known) => "/" + known.segments.join("/") === route.path)
      : written.get(route.path);
    if (place === undefined) {
      place = { segments: route.path.slice(1).split("/"), verbs: new Map() };
      if (patterned) patterns.push(place);
      else written.set(route.path, place);
    }
    if (place.verbs.has(route.method)) throw new Error(`two routes for ${route.method} ${route.path}`);
    place.verbs.set(route.method, route);
  }

  function locate(path: string): { place: Place; raw: Record<string, string> } | undefined {
    const exact = written.get(path);
    if (exact !== undefined) return { place: exact, raw: {} };
    const segments = path.slice(1).split("/");
    for (const place of patterns) {
      const raw = fit(place.segments, segments);
      if (raw !== undefined) return { place, raw };
    }
    return undefined;
  }

  return {
    find(method, path) {
      const found = locate(path);
      if (found === undefined) {
        throw refuse("ROUTE_NOT_FOUND", { details: `${method} ${path.slice(0, 200)}` });
      }
      const route = found.place.verbs.get((method === "HEAD" ? "GET" : method) as Method);
      if (route === undefined) {
        throw refuse("METHOD_NOT_ALLOWED", { headers: { allow: allowed(found.place).join(", ") } });
      }
      return { route, values: decoded(found.raw) };
    },
    methods: (path) => {
      const found = locate(path);
      return found === undefined ? [] : allowed(found.place);
    },
  };
}

function allowed({ verbs }: Place): string[] {
  return [...verbs.keys(), ...(verbs.has("GET") ? ["HEAD"] : []), "OPTIONS"];
}

function fit(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const values: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] as string;
    if (part.startsWith("{")) {
      if (segment === "") return undefined;
      values[part.slice(1, -1)] = segment;
    } else if (part !== segment) return undefined;
  }
  return values;
}

function decoded(raw: Record<string, string>): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [name, text] of Object.entries(raw)) {
    try {
      values[name] = decodeURIComponent(text);
    } catch {
      throw refuse("FIELD_INVALID", {
        details: `$.${name}`,
        message: `${name} has a broken percent escape.`,
      });
    }
  }
  return values;
}
