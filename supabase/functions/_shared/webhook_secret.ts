import { toBase64 } from "./base64url.ts";
import { derived } from "./derivation.ts";

/**
 * The signing secret of an endpoint, `whsec_…`, derived and never stored: the endpoint's id and secret
 * version are the purpose. The runner derives the same (`runner/callback/signature.py`);
 * `tests/vectors/webhook_secret.json` holds both to it.
 */
export async function webhookSecret(masterKey: string, endpointId: string, version: number): Promise<string> {
  const secret = await derived(masterKey, `control-room/webhook/v1:${endpointId}:${version}`);
  return `whsec_${toBase64(secret)}`;
}
