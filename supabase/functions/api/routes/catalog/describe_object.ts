import { extended } from "../../../_shared/json_text.ts";
import { passOn, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { text } from "../../shapes/words.ts";
import { kinds } from "./list_objects.ts";

export const route: Route = {
  method: "PATCH",
  path: "/catalog/objects/{object}",
  access: "member",
  name: "describe_object",
  summary: "Says what an object is; owner and classification are an admin's to say (audited)",
  parameters: { object: { type: "string" } },
  body: {
    kind: "object",
    schema: {
      type: "object",
      properties: {
        kind: { type: "string", enum: [...kinds] },
        comment: text,
        tags: { type: "object", additionalProperties: { type: "string" } },
        owner: text,
        classification: { type: ["string", "null"], enum: ["internal", "confidential", null] },
      },
    },
  },
  answers: { 200: { description: "The object", schema: to("CatalogObject") } },
  handle: async (call) =>
    passOn(await call.ask("describe_object", extended(call.body.text, { name: call.parameters.object }))),
};
