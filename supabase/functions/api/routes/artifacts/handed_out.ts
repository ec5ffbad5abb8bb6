import { JsonText } from "../../../_shared/json_text.ts";
import { Call } from "../../../_shared/route.ts";
import { downloadSeconds, Place } from "../../../_shared/storage.ts";

/** Sends the caller to the bytes that `rpc` allows. The bytes themselves never pass through here. */
export async function handOut(call: Call, rpc: string, args: JsonText): Promise<Response> {
  const allowed = await call.need(rpc, args) as unknown as Place & { filename?: string };
  const location = await call.around.storage.downloadUrl(allowed, allowed.filename ?? "artifact");
  return new Response(null, {
    status: 302,
    headers: { location, "cache-control": `private, no-store`, expires: inSeconds(downloadSeconds) },
  });
}

function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toUTCString();
}
