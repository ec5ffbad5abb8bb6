import { decode, toBase64 } from "./base64url.ts";
import { derived } from "./derivation.ts";

/**
 * The signing secret of an endpoint, `whsec_…`, derived and never stored: the endpoint's id and secret
 * version are the purpose. The runner derives the same (`runner/callback/signature.py`);
 * `tests/vectors/webhook_secret.json` holds both to it.
 */
export async function webhookSecret(masterKey: string, endpointId: string, version: number): Promise<string> {
  return `whsec_${toBase64(await derived(masterKey, `control-room/webhook/v1:${endpointId}:${version}`))}`;
}

/** The public half of the endpoint's ed25519 key (`v1a`), `whpk_…`; its seed is derived likewise. */
export async function webhookPublicKey(
  masterKey: string,
  endpointId: string,
  version: number,
): Promise<string> {
  const seed = await derived(masterKey, `control-room/webhook/v1a:${endpointId}:${version}`);
  // WebCrypto takes a private key as PKCS #8 (RFC 8410), and gives the public one away in a JWK
  const form = new Uint8Array([...pkcs8Ed25519, ...seed]);
  const key = await crypto.subtle.importKey("pkcs8", form, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  return `whpk_${toBase64(decode(x as string)!)}`;
}

const pkcs8Ed25519 = Uint8Array.from(atob("MC4CAQAwBQYDK2VwBCIEIA=="), (c) => c.charCodeAt(0));
