import { Buffer } from "node:buffer";
import * as stage from "../api/testing.ts";

const second = () => Math.floor(Date.now() / 1000);

/** A key pair of an issuer that the tests make up. */
export interface Pair {
  readonly kid: string;
  readonly alg: "RS256" | "ES256";
  readonly private: CryptoKey;
  readonly jwk: JsonWebKey & { kid: string };
}

export async function pair(alg: "RS256" | "ES256", kid: string, modulusLength = 2048): Promise<Pair> {
  const rsa = {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
  const way = alg === "RS256" ? rsa : { name: "ECDSA", namedCurve: "P-256" };
  const keys = await crypto.subtle.generateKey(way, true, ["sign", "verify"]) as CryptoKeyPair;
  const jwk = await crypto.subtle.exportKey("jwk", keys.publicKey);
  return { kid, alg, private: keys.privateKey, jwk: { ...jwk, kid, use: "sig", alg } };
}

export type Claims = Record<string, unknown>;

/** What GitHub's documentation shows of a token, made out for the tests' control room. */
export function claims(it: stage.Rehearsal, changes: Claims = {}): Claims {
  return {
    jti: crypto.randomUUID(),
    sub: "repo:acme/etl:ref:refs/heads/main",
    aud: it.settings.oidcAudience,
    iss: it.settings.oidcIssuer,
    ref: "refs/heads/main",
    repository: "acme/etl",
    repository_id: "74",
    event_name: "push",
    run_id: "42",
    actor: "octocat",
    iat: second(),
    nbf: second() - 60,
    exp: second() + 300,
    ...changes,
  };
}

/** A token of the issuer; its header may say whatever it likes. */
export async function signed(by: Pair, payload: unknown, header: Claims = {}): Promise<string> {
  const text = stage.unsigned(payload, { alg: by.alg, kid: by.kid, typ: "JWT", ...header });
  const way = by.alg === "RS256" ? "RSASSA-PKCS1-v1_5" : { name: "ECDSA", hash: "SHA-256" };
  const signature = await crypto.subtle.sign(way, by.private, new TextEncoder().encode(text));
  return `${text}.${Buffer.from(signature).toString("base64url")}`;
}
