import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/catalog/expectations",
  access: "member",
  name: "set_expectation",
  summary: "Says what rows of a table have to be, and what becomes of others: warn, drop, quarantine, fail",
  body: { kind: "object", schema: to("Expectation") },
  answers: { 200: { description: "The expectation", schema: to("Expectation") } },
  handle: forward("set_expectation"),
};
