import { JsonText } from "../../../_shared/json_text.ts";
import { Call } from "../../../_shared/route.ts";

/** The batch answer of the OpenLineage specification. */
export interface Ingestion {
  readonly status: "success" | "partial_success";
  readonly summary: {
    readonly received: number;
    readonly successful: number;
    readonly failed: number;
    readonly retriable: number;
    readonly non_retriable: number;
  };
  readonly failed_events: readonly { readonly index: number; readonly reason: string }[];
}

/** Records `events`, a JSON array. What is refused is refused for good: nothing in it can be retried. */
export async function ingest(call: Call, events: JsonText): Promise<Ingestion> {
  const result = await call.need("lineage_ingest", `{"events":${events}}`) as unknown as Ingestion;
  const { received, successful, failed } = result.summary;
  const summary = { received, successful, failed, retriable: 0, non_retriable: failed };
  return {
    status: failed === 0 ? "success" : "partial_success",
    summary,
    failed_events: result.failed_events ?? [],
  };
}
