import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "DELETE",
  path: "/catalog/expectations/{expectation_id}",
  access: "member",
  name: "delete_expectation",
  summary: "Takes an expectation back",
  parameters: { expectation_id: { type: "integer", format: "int64" } },
  answers: { 200: { description: "{expectation_id, deleted}", schema: to("Thing") } },
  handle: forward("delete_expectation"),
};
