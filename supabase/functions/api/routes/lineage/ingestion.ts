import { elements, isUnkeepable, JsonText } from "../../../_shared/json_text.ts";
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

const unkeepable = "$: holds NUL or half of a surrogate pair, which no text of the database can";

/**
 * Records `events`, a JSON array. What is refused is refused for good: nothing in it can be retried. An event with text that Postgres
 * takes into no jsonb would sink all of them: it is left out, and refused by its index like any other.
 */
export async function ingest(call: Call, events: JsonText): Promise<Ingestion> {
  const unkept = new Set<number>();
  let kept = events;
  if (/\\u(0000|d[89a-f])/i.test(events)) { // rarely: a whole pair, an emoji that somebody escaped, is as good as any text
    const texts = elements(events);
    for (const [index, text] of texts.entries()) if (isUnkeepable(JSON.parse(text))) unkept.add(index);
    kept = `[${texts.map((text, index) => unkept.has(index) ? "null" : text).join(",")}]`;
  }
  const result = await call.need("lineage_ingest", `{"events":${kept}}`) as unknown as Ingestion;
  const { received, successful, failed } = result.summary;
  const summary = { received, successful, failed, retriable: 0, non_retriable: failed };
  return {
    status: failed === 0 ? "success" : "partial_success",
    summary,
    failed_events: (result.failed_events ?? []).map((event) =>
      unkept.has(event.index) ? { ...event, reason: unkeepable } : event
    ),
  };
}
