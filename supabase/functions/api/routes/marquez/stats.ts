import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/stats/{asset}",
  access: "member",
  name: "marquez_stats",
  summary: "Counts by hours of a day or days of a week, as Marquez does",
  parameters: { asset: { type: "string", description: "jobs, datasets, sources or lineage-events" } },
  query: {
    period: { type: "string", enum: ["DAY", "WEEK"], default: "DAY" },
    timezone: { type: "string", default: "UTC" },
  },
  answers: { 200: { description: "Figures", schema: to("MarquezFigures") } },
  handle: forward("marquez_stats"),
};
