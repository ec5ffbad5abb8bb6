import { KnownKey, publicKeys, secretKeys, signingKey } from "./keys.ts";
import { Settings } from "./settings.ts";

/** Every key that may verify a token here: the shared secret, our own key, and the project's published ones. */
export interface Keyring {
  /**
   * The keys for what a token's header says of itself: those of that algorithm which bear its `kid`, or,
   * for a token without `kid`, all of that algorithm. A `kid` that no key bears finds none.
   */
  for(alg: unknown, kid: unknown): Promise<readonly KnownKey[]>;
}

const freshSeconds = 600;
/** Unknown kids may ask for the published keys again only this often: they are the caller's to invent. */
const pauseSeconds = 30;

export function keyring(settings: Settings): Keyring {
  const own = Promise.all([secretKeys(settings.jwtSecret), signingKey(settings.signingKey)])
    .then(([secrets, signing]) => signing === undefined ? secrets : [...secrets, signing.public]);
  let published: Promise<KnownKey[]> = Promise.resolve([]);
  let fetchedAt = -Infinity;

  function fetchPublished(): Promise<KnownKey[]> {
    const before = published;
    fetchedAt = settings.now();
    published = fetch(`${settings.supabaseUrl}/auth/v1/.well-known/jwks.json`, {
      headers: { apikey: settings.anonKey },
      redirect: "error",
      signal: AbortSignal.timeout(5000),
    }).then(async (response) => {
      const body = await response.text();
      return response.ok ? await publicKeys(JSON.parse(body)) : await before;
      // without the project's keys the others still verify; the next unknown kid tries again
    }).catch(() => before);
    return published;
  }

  return {
    async for(alg, kid) {
      if (alg !== "HS256" && alg !== "ES256" && alg !== "RS256") return [];
      const fits = (key: KnownKey) => key.alg === alg && (kid === undefined || key.kid === kid);
      const local = (await own).filter(fits);
      // a secret is never published, so HS256 has no reason to look there
      if (local.length > 0 || alg === "HS256") return local;
      const age = settings.now() - fetchedAt;
      const known = (age > freshSeconds ? await fetchPublished() : await published).filter(fits);
      if (known.length > 0 || age <= pauseSeconds || age > freshSeconds) return known;
      return (await fetchPublished()).filter(fits);
    },
  };
}
