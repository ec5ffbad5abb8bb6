import * as base64url from "./base64url.ts";
import { Settings } from "./settings.ts";

/** A key that may verify tokens, with the one algorithm it is for. */
export interface KnownKey {
  readonly kid: string | undefined;
  readonly alg: "HS256" | "ES256" | "RS256";
  readonly key: CryptoKey;
}

/** Our own key pair: tokens minted here verify here and, once imported into the project, everywhere. */
export interface SigningKey {
  readonly kid: string;
  readonly private: CryptoKey;
  readonly public: KnownKey;
}

type Jwk = JsonWebKey & { kid?: string };

/** The HS256 keys in CONTROL_ROOM_JWT_SECRET: a plain secret, a JWK, or a JWK set. */
export async function secretKeys(secret: string | undefined): Promise<KnownKey[]> {
  if (secret === undefined) return [];
  const written = secret.startsWith("{") ? JSON.parse(secret) as Jwk & { keys?: Jwk[] } : undefined;
  const jwks = written === undefined
    ? [{ kty: "oct", k: base64url.encode(new TextEncoder().encode(secret)) }]
    : written.keys ?? [written];
  const keys = await Promise.all(jwks.filter((jwk) => jwk.kty === "oct").map((jwk) => known(jwk)));
  return keys.filter((key) => key !== undefined);
}

export async function signingKey(jwk: Settings["signingKey"]): Promise<SigningKey | undefined> {
  if (jwk === undefined) return undefined;
  const { kty, crv, x, y, d } = jwk as Required<JsonWebKey>;
  const curve = { name: "ECDSA", namedCurve: "P-256" };
  const kid = jwk.kid ?? await thumbprint({ crv, kty, x, y });
  const publicKey = await known({ kty, crv, x, y, kid });
  if (publicKey === undefined) throw new Error("CONTROL_ROOM_SIGNING_KEY has no public part");
  return {
    kid,
    private: await crypto.subtle.importKey("jwk", { kty, crv, x, y, d }, curve, false, ["sign"]),
    public: publicKey,
  };
}

/** The public keys of a JWK set; secrets and keys of other kinds in it are passed over. */
export async function publicKeys(set: unknown): Promise<KnownKey[]> {
  const jwks = (set as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(jwks)) return [];
  // RFC 7517: a key that says what it is for is for nothing else
  const asymmetric = (jwks as Jwk[]).filter((jwk) =>
    (jwk?.kty === "EC" || jwk?.kty === "RSA") && (jwk.use ?? "sig") === "sig"
  );
  const keys = await Promise.all(asymmetric.map((jwk) => known(jwk).catch(() => undefined)));
  return keys.filter((key) => key !== undefined);
}

/** The key with the algorithm that its kind dictates; undefined for a kind we do not take. */
async function known(jwk: Jwk): Promise<KnownKey | undefined> {
  const { kid } = jwk;
  const read = (form: JsonWebKey, way: HmacImportParams | EcKeyImportParams | RsaHashedImportParams) =>
    crypto.subtle.importKey("jwk", form, way, false, ["verify"]);
  if (jwk.kty === "oct" && jwk.k !== undefined) {
    return {
      kid,
      alg: "HS256",
      key: await read({ kty: "oct", k: jwk.k }, { name: "HMAC", hash: "SHA-256" }),
    };
  }
  if (jwk.kty === "EC" && jwk.crv === "P-256") {
    const { kty, crv, x, y } = jwk as Required<JsonWebKey>;
    return { kid, alg: "ES256", key: await read({ kty, crv, x, y }, { name: "ECDSA", namedCurve: "P-256" }) };
  }
  if (jwk.kty === "RSA") {
    const { kty, n, e } = jwk as Required<JsonWebKey>;
    if (jwk.alg !== undefined && jwk.alg !== "RS256") return undefined;
    const key = await read({ kty, n, e }, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" });
    // RFC 7518, 3.3: shorter ones are broken
    if ((key.algorithm as RsaHashedKeyAlgorithm).modulusLength < 2048) return undefined;
    return { kid, alg: "RS256", key };
  }
  return undefined;
}

/** RFC 7638: the key's own name when its file gives none. */
async function thumbprint(required: Readonly<Record<string, string>>): Promise<string> {
  const canonical = new TextEncoder().encode(JSON.stringify(required));
  return base64url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", canonical)));
}
