import { forward, Route } from "../../../_shared/route.ts";
import { deliveryId } from "../../shapes/callbacks.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/deliveries/{delivery_id}/redeliver",
  access: "member",
  name: "redeliver_delivery",
  summary: "Delivers once more",
  parameters: { delivery_id: deliveryId },
  body: { kind: "object", required: false, schema: { type: "object" } },
  answers: { 202: { description: "The delivery is due again", schema: to("Delivery") } },
  handle: forward("redeliver_delivery"),
};
