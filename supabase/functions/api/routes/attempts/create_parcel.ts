import { json, Route } from "../../../_shared/route.ts";
import { attemptId } from "../../shapes/runs.ts";
import { to } from "../../shapes/table.ts";
import { parcelPlace } from "./parcel_place.ts";

export const route: Route = {
  method: "POST",
  path: "/attempts/{attempt_id}/parcels",
  access: "attempt",
  name: "create_parcel",
  summary: "Gives the URL to PUT a parcel to: bytes between a runner and the work that it has outside",
  parameters: { attempt_id: attemptId },
  body: {
    kind: "object",
    schema: { type: "object", required: ["name"], properties: { name: { type: "string" } } },
  },
  answers: { 201: { description: "{upload_url}", schema: to("Thing") } },
  handle: async (call) => {
    const { name } = call.body.value as { name: string };
    const place = await parcelPlace(call, JSON.stringify(name));
    return json(201, { upload_url: await call.around.storage.uploadUrl(place, true) });
  },
};
