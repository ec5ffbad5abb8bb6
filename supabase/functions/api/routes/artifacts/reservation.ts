import { JsonText } from "../../../_shared/json_text.ts";
import { Call } from "../../../_shared/route.ts";
import { Place } from "../../../_shared/storage.ts";

/** Asks `rpc` for a new version: what the caller sees of it, and the place, which stays inside. */
export async function reserve(call: Call, rpc: string, args: JsonText) {
  const { bucket, path, ...version } = await call.need(rpc, args);
  return { version, place: { bucket, path } as Place };
}
