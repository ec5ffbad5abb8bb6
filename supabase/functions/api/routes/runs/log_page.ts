import { JsonText, object } from "../../../_shared/json_text.ts";
import { Call } from "../../../_shared/route.ts";

export interface Line {
  readonly seq: number;
  readonly line: string;
}

export interface Page {
  readonly items: readonly Line[];
  /** The seq to go on after, as JSON. */
  readonly next: JsonText;
  /** The state of the run. */
  readonly state: string;
}

/** @throws Refusal with the database's own error */
export async function readPage(call: Call, after: JsonText, limit: JsonText | undefined): Promise<Page> {
  const args = object({ run_id: call.parameters.run_id, after, limit, task_key: call.query.task_key });
  const { items, next, state } = await call.need("run_logs", args) as unknown as Page & { next: unknown };
  return { items, state, next: String(next ?? items.at(-1)?.seq ?? after) };
}
