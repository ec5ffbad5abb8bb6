import { Retirement } from "./route.ts";

/** What each answer of a verb that is to go says: since when not to use it, and when it may be gone. */
export function farewell(retirement: Retirement | undefined, told: string): readonly [string, string][] {
  if (retirement === undefined) return [];
  return [
    // RFC 9745: a structured date; RFC 8594: an HTTP date
    ["deprecation", `@${Date.parse(retirement.since) / 1000}`],
    ["sunset", new Date(retirement.sunset).toUTCString()],
    ["link", `<${told}>; rel="deprecation"; type="application/json"`],
  ];
}
