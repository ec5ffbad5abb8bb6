import { KnownKey, publicKeys } from "./keys.ts";
import { Settings } from "./settings.ts";

/** The keys that somebody else publishes, remembered. */
export interface PublishedKeys {
  /** Those that fit; looks anew for a key that is not among the remembered ones, but only so often. */
  that(fits: (key: KnownKey) => boolean): Promise<readonly KnownKey[]>;
  /** Whether the set has been read at all: an unknown key and a silent publisher are two things. */
  readonly read: boolean;
}

/** A key that leaves the set stops counting within this time. */
const freshSeconds = 600;
/** Unknown kids may ask for the set again only this often: they are the caller's to invent. */
const pauseSeconds = 30;
const longestDocument = 256 * 1024;
const patienceMilliseconds = 5000;

/** `fetchSet` gives the JWK set, by `document` below; while it fails, what was read before goes on. */
export function publishedKeys(fetchSet: () => Promise<unknown>, now: Settings["now"]): PublishedKeys {
  let published: Promise<readonly KnownKey[]> = Promise.resolve([]);
  let fetchedAt = -Infinity;
  let read = false;

  function look(): Promise<readonly KnownKey[]> {
    const before = published;
    fetchedAt = now();
    published = fetchSet().then(publicKeys).then((keys) => {
      read = true;
      return keys;
    }).catch(() => before);
    return published;
  }

  return {
    get read() {
      return read;
    },
    async that(fits) {
      const age = now() - fetchedAt;
      const known = (age > freshSeconds ? await look() : await published).filter(fits);
      if (known.length > 0 || age <= pauseSeconds || age > freshSeconds) return known;
      return (await look()).filter(fits);
    },
  };
}

/**
 * A JSON document of at most 256 KiB, from exactly this address: no redirects, five seconds.
 *
 * @throws Error for anything else
 */
export async function document(url: string, headers: Record<string, string> = {}): Promise<unknown> {
  const response = await fetch(url, {
    headers: { accept: "application/json", ...headers },
    redirect: "error",
    signal: AbortSignal.timeout(patienceMilliseconds),
  });
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.byteLength;
    if (size > longestDocument) throw new Error(`${url} is longer than ${longestDocument} bytes`);
    parts.push(part);
  }
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return JSON.parse(await new Blob(parts).text());
}
