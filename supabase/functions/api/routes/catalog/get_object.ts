import { object } from "../../../_shared/json_text.ts";
import { passOn, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { kinds } from "./list_objects.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/objects/{object}",
  access: "member",
  name: "get_object",
  summary: "Shows an object of the catalog with all that is known of it; of a table its columns",
  parameters: {
    object: {
      type: "string",
      description: "its full name: main.gold.orders; a part with a dot in it stands in backquotes",
    },
  },
  query: {
    kind: { type: "string", enum: [...kinds], description: "where a table and a volume are called alike" },
  },
  answers: { 200: { description: "The object", schema: to("CatalogObject") } },
  handle: async (call) =>
    passOn(await call.ask("get_object", object({ name: call.parameters.object, kind: call.query.kind }))),
};
