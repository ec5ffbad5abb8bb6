import { Route } from "../../../_shared/route.ts";
import { attemptId } from "../../shapes/runs.ts";
import { parcelPlace } from "./parcel_place.ts";

export const route: Route = {
  method: "DELETE",
  path: "/attempts/{attempt_id}/parcels/{name}",
  access: "attempt",
  name: "delete_parcel",
  summary: "Removes the bytes of a parcel that has arrived",
  parameters: { attempt_id: attemptId, name: { type: "string" } },
  answers: { 204: { description: "They are gone, or never were" } },
  handle: async (call) => {
    await call.around.storage.remove(await parcelPlace(call, call.parameters.name));
    return new Response(null, { status: 204 });
  },
};
