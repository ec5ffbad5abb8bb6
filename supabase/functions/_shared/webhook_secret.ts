import { toBase64 } from "./base64url.ts";

/**
 * The signing secret of an endpoint, `whsec_…`, derived and never stored: HKDF-SHA256 (RFC 5869) with the
 * master key's UTF-8 bytes, no salt, and the endpoint's id and secret version in the info. The runner
 * derives the same (`runner/callback/signature.py`); `tests/vectors/webhook_secret.json` holds both to it.
 */
export async function webhookSecret(masterKey: string, endpointId: string, version: number): Promise<string> {
  const text = new TextEncoder();
  const material = await crypto.subtle.importKey("raw", text.encode(masterKey), "HKDF", false, [
    "deriveBits",
  ]);
  const info = text.encode(`control-room/webhook/v1:${endpointId}:${version}`);
  const way = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info };
  return `whsec_${toBase64(new Uint8Array(await crypto.subtle.deriveBits(way, material, 256)))}`;
}
