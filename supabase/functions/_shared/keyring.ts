import { KnownKey, secretKeys, signingKey } from "./keys.ts";
import { document, publishedKeys } from "./published_keys.ts";
import { Settings } from "./settings.ts";

/** Every key that may verify a token here: the shared secret, our own key, and the project's published ones. */
export interface Keyring {
  /**
   * The keys for what a token's header says of itself: those of that algorithm which bear its `kid`, or,
   * for a token without `kid`, all of that algorithm. A `kid` that no key bears finds none.
   */
  for(alg: unknown, kid: unknown): Promise<readonly KnownKey[]>;
}

export function keyring(settings: Settings): Keyring {
  const own = Promise.all([secretKeys(settings.jwtSecret), signingKey(settings.signingKey)])
    .then(([secrets, signing]) => signing === undefined ? secrets : [...secrets, signing.public]);
  // without the project's keys the others still verify; the next unknown kid tries again
  const published = publishedKeys(
    () => document(`${settings.supabaseUrl}/auth/v1/.well-known/jwks.json`, { apikey: settings.anonKey }),
    settings.now,
  );

  return {
    async for(alg, kid) {
      if (alg !== "HS256" && alg !== "ES256" && alg !== "RS256") return [];
      const fits = (key: KnownKey) => key.alg === alg && (kid === undefined || key.kid === kid);
      const local = (await own).filter(fits);
      // a secret is never published, so HS256 has no reason to look there
      if (local.length > 0 || alg === "HS256") return local;
      return await published.that(fits);
    },
  };
}
