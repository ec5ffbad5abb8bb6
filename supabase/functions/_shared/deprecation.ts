import { Deprecation } from "./route.ts";

/** What each answer of a verb that is to go says: since when not to use it, and when it may be gone. */
export function deprecationHeaders(
  deprecation: Deprecation | undefined,
  told: string,
): readonly [string, string][] {
  if (deprecation === undefined) return [];
  return [
    // RFC 9745: a structured date; RFC 8594: an HTTP date
    ["deprecation", `@${Date.parse(deprecation.since) / 1000}`],
    ["sunset", new Date(deprecation.sunset).toUTCString()],
    ["link", `<${told}>; rel="deprecation"; type="application/json"`],
  ];
}
