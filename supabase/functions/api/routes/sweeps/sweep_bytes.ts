import { object } from "../../../_shared/json_text.ts";
import { json, Route } from "../../../_shared/route.ts";
import { Place } from "../../../_shared/storage.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "DELETE",
  path: "/sweeps/bytes",
  access: "sweep",
  name: "sweep_bytes",
  summary: "Removes the bytes that a runner has claimed to remove; twice is safe",
  answers: { 200: { description: "{removed}: how many were there", schema: to("Thing") } },
  handle: async (call) => {
    const { items } = await call.need("sweep_bytes", object({ token: JSON.stringify(call.sweep.token) }));
    const places = items as readonly Place[];
    let removed = 0;
    for (const bucket of new Set(places.map((place) => place.bucket))) {
      const paths = places.filter((place) => place.bucket === bucket).map((place) => place.path);
      removed += await call.around.storage.removeAll(bucket, paths);
    }
    return json(200, { removed });
  },
};
