import * as base64url from "./base64url.ts";
import { KnownKey } from "./keys.ts";

/** Clocks may differ by this much, as PostgREST allows. */
export const leewaySeconds = 30;
const longestToken = 8192;

export interface Token {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly signed: Uint8Array<ArrayBuffer>;
  readonly signature: Uint8Array<ArrayBuffer>;
}

/** Takes a compact JWS apart; undefined for anything that is not three parts of strict base64url JSON. */
export function parse(text: string): Token | undefined {
  if (text.length > longestToken) return undefined;
  const parts = text.split(".");
  if (parts.length !== 3) return undefined;
  const [head, body, tail] = parts as [string, string, string];
  const header = jsonObject(head);
  const claims = jsonObject(body);
  const signature = base64url.decode(tail);
  if (header === undefined || claims === undefined || signature === undefined) return undefined;
  return { header, claims, signature, signed: new TextEncoder().encode(`${head}.${body}`) };
}

/** The algorithm belongs to the key: what the token claims about itself only selects among known keys. */
export async function isSignedBy(token: Token, known: KnownKey): Promise<boolean> {
  if (token.header.alg !== known.alg || token.signature.length === 0) return false;
  const way = known.alg === "ES256" ? { name: "ECDSA", hash: "SHA-256" } : known.key.algorithm.name;
  // a signature of the wrong length is no signature, whatever the platform makes of it
  return await crypto.subtle.verify(way, known.key, token.signature, token.signed).catch(() => false);
}

/** Why the token's times do not hold at `now` (seconds), or undefined when they do. `exp` is required. */
export function untimely(claims: Token["claims"], now: number): string | undefined {
  const { exp, nbf, iat } = claims;
  if (typeof exp !== "number" || !Number.isFinite(exp)) return "the claim exp is missing";
  if (now >= exp + leewaySeconds) return "the token has expired";
  if (nbf !== undefined && !(typeof nbf === "number" && nbf <= now + leewaySeconds)) {
    return "the token is not valid yet";
  }
  if (iat !== undefined && !(typeof iat === "number" && iat <= now + leewaySeconds)) {
    return "the token was issued in the future";
  }
  return undefined;
}

/** Signs `claims` with our own ES256 key. */
export async function mint(
  claims: Readonly<Record<string, unknown>>,
  kid: string,
  key: CryptoKey,
): Promise<string> {
  const part = (value: unknown) => base64url.encode(new TextEncoder().encode(JSON.stringify(value)));
  const signed = `${part({ alg: "ES256", typ: "JWT", kid })}.${part(claims)}`;
  const way = { name: "ECDSA", hash: "SHA-256" };
  const signature = await crypto.subtle.sign(way, key, new TextEncoder().encode(signed));
  return `${signed}.${base64url.encode(new Uint8Array(signature))}`;
}

function jsonObject(part: string): Record<string, unknown> | undefined {
  const bytes = base64url.decode(part);
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : undefined;
  } catch {
    return undefined;
  }
}
