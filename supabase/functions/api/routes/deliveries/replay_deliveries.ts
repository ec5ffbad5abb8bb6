import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/deliveries/replay",
  access: "member",
  name: "replay_deliveries",
  summary: "Delivers a range of dead deliveries once more, or all that is missing",
  body: {
    kind: "object",
    schema: {
      type: "object",
      properties: {
        since: { type: "string", format: "date-time" },
        until: { type: "string", format: "date-time" },
        endpoint_id: { type: "string", format: "uuid" },
        missing: {
          type: "boolean",
          description:
            "also what ended while the endpoint was gone and, with endpoint_id, events from before it was there",
        },
      },
    },
  },
  answers: { 202: { description: "How many are due again", schema: to("Replay") } },
  handle: forward("replay_deliveries"),
};
