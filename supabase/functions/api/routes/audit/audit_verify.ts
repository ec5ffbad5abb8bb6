import { passOn, Route } from "../../../_shared/route.ts";
import { object } from "../../../_shared/json_text.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/audit/verify",
  access: "member",
  name: "audit_verify",
  summary: "Recomputes the audit's chain (admins)",
  description:
    "A page after the seal `since`; go on with since=<next> until next is null. number and hash are " +
    "those of a head that was kept outside: without one, a tail that was cut off cannot be missed.",
  query: {
    since: { type: "integer", format: "int64", minimum: 0 },
    number: { type: "integer", format: "int64", minimum: 1 },
    hash: { type: "string", pattern: "^[0-9a-f]{64}$" },
  },
  answers: { 200: { description: "What was found", schema: to("AuditVerdict") } },
  handle: async (call) => {
    const { since, number, hash } = call.query;
    const head = number === undefined && hash === undefined ? undefined : object({ number, hash });
    return passOn(await call.ask("audit_verify", object({ since, head })));
  },
};
