import { Schema } from "../../_shared/schema.ts";
import { time } from "./words.ts";

// Marquez's own forms, as its web UI reads them (web/src/types/api.ts).

const text: Schema = { type: "string" };
const count: Schema = { type: "integer" };
const name: Schema = {
  type: "object",
  required: ["namespace", "name"],
  properties: { namespace: text, name: text },
};
const anything: Schema = { type: "object" };

function form(properties: Record<string, Schema>, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((key) => !optional.includes(key));
  return { type: "object", required, properties };
}

const several = (items: Schema): Schema => ({ type: "array", items });
const some = (form: string): Schema => several({ $ref: `#/components/schemas/${form}` });
const maybe = { type: ["string", "null"] } as const satisfies Schema;

export const MarquezNamespace = form({
  name: text,
  createdAt: time,
  updatedAt: time,
  ownerName: text,
  description: text,
  isHidden: { type: "boolean" },
});
export const MarquezNamespaces = form({ namespaces: some("MarquezNamespace") });

export const MarquezDataset = form({
  id: name,
  type: { type: "string", enum: ["DB_TABLE"] },
  name: text,
  physicalName: text,
  namespace: text,
  sourceName: text,
  createdAt: time,
  updatedAt: time,
  lastModifiedAt: { type: ["string", "null"], description: "when it was last seen to be written" },
  deleted: { type: "boolean" },
  description: text,
  fields: several(form({ name: text, type: maybe, description: text, tags: several(text) })),
  tags: several(text),
  facets: anything,
  columnLineage: {
    type: ["array", "null"],
    items: form({ name: text, inputFields: several(anything) }),
  },
});
export const MarquezDatasets = form({ datasets: some("MarquezDataset"), totalCount: count });

export const MarquezRun = form({
  id: text,
  createdAt: time,
  updatedAt: time,
  nominalStartTime: maybe,
  nominalEndTime: maybe,
  state: { type: "string", enum: ["NEW", "RUNNING", "COMPLETED", "FAILED", "ABORTED"] },
  startedAt: maybe,
  endedAt: maybe,
  durationMs: { type: ["number", "null"] },
  args: anything,
  jobVersion: anything,
  facets: { type: "object", description: "empty for viewers" },
});
export const MarquezRuns = form({ runs: some("MarquezRun"), totalCount: count });

export const MarquezJob = form({
  id: name,
  type: { type: "string", enum: ["BATCH"] },
  name: text,
  simpleName: text,
  namespace: text,
  createdAt: time,
  updatedAt: time,
  location: maybe,
  description: text,
  tags: several(text),
  inputs: several(name),
  outputs: several(name),
  latestRun: { type: ["object", "null"] },
  latestRuns: some("MarquezRun"),
  parentJobName: maybe,
  parentJobUuid: maybe,
});
export const MarquezJobs = form({ jobs: some("MarquezJob"), totalCount: count });

export const MarquezFacets = form({ runId: text, facets: anything });
export const MarquezTags = form({ tags: several(form({ name: text, description: text })) });
export const MarquezEvents = form({ events: some("LineageEvent"), totalCount: count });
export const MarquezSearch = form({
  results: several(form({ name: text, namespace: text, nodeId: text, type: text, updatedAt: time })),
  totalCount: count,
});
export const MarquezFigures = several(
  form(
    {
      startInterval: time,
      endInterval: time,
      count,
      start: count,
      complete: count,
      fail: count,
      abort: count,
    },
    ["count", "start", "complete", "fail", "abort"],
  ),
);
