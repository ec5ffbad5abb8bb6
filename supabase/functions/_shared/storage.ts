import { Refusal, refuse } from "./errors.ts";
import { Settings } from "./settings.ts";

/** Where bytes lie: a bucket, and a path whose first segment is the tenant. */
export interface Place {
  readonly bucket: string;
  readonly path: string;
}

/** Two ways for the same bytes to the same place: one PUT, or in parts that may be resumed (TUS 1.0.0). */
export interface Upload {
  readonly upload_url: string;
  readonly resumable: {
    /** POST here begins; what it answers as Location takes the parts. */
    readonly url: string;
    /** To be sent with every request. */
    readonly headers: Readonly<Record<string, string>>;
    /** For Upload-Metadata, each value in base64. */
    readonly metadata: Readonly<Record<string, string>>;
  };
}

/** Hands out signed URLs with the service key; the database has decided before that the caller may have one. */
export interface Storage {
  /**
   * An absolute URL that takes a PUT of the bytes. It cannot replace bytes that are there, unless it is
   * `repeatable`: then a PUT whose answer was lost may be made again.
   */
  uploadUrl(place: Place, repeatable?: boolean): Promise<string>;
  /** As `uploadUrl`, and the same right for a resumable upload. */
  upload(place: Place, repeatable?: boolean): Promise<Upload>;
  /** An absolute URL that gives the bytes for `downloadSeconds`, as an attachment called `filename`. */
  downloadUrl(place: Place, filename: string): Promise<string>;
  /** Writes the bytes; they must not be there yet. */
  put(place: Place, bytes: Uint8Array<ArrayBuffer>, contentType: string): Promise<void>;
  /** Removes the bytes, if they are there. */
  remove(place: Place): Promise<void>;
  /** Removes what is there of several places of one bucket; how many were. */
  removeAll(bucket: string, paths: readonly string[]): Promise<number>;
}

export const downloadSeconds = 300;

export function storage(settings: Settings): Storage {
  async function ask(method: string, path: string, body?: BodyInit, headers = {}): Promise<Response> {
    const key = settings.serviceKey;
    if (key === undefined) throw refuse("NOT_CONFIGURED", { details: "SUPABASE_SERVICE_ROLE_KEY" });
    try {
      return await fetch(`${settings.supabaseUrl}/storage/v1${path}`, {
        method,
        headers: { apikey: key, authorization: `Bearer ${key}`, ...headers },
        ...(body === undefined ? {} : { body }),
        redirect: "manual",
        signal: AbortSignal.timeout(settings.upstreamMilliseconds),
      });
    } catch {
      throw refuse("STORAGE_FAILED", { details: "Storage does not answer." });
    }
  }

  async function send(
    path: string,
    body: BodyInit,
    contentType: string,
    upsert = false,
  ): Promise<Record<string, unknown>> {
    const headers = { "content-type": contentType, "x-upsert": String(upsert) };
    const response = await ask("POST", path, body, headers);
    try {
      const text = await response.text();
      if (!response.ok) throw refuse("STORAGE_FAILED", { details: `Storage answered ${response.status}.` });
      return JSON.parse(text);
    } catch (error) {
      throw error instanceof Refusal
        ? error
        : refuse("STORAGE_FAILED", { details: "Storage does not answer." });
    }
  }

  /** Storage gives paths below /storage/v1. */
  function absolute(path: unknown): string {
    if (typeof path !== "string" || !path.startsWith("/")) {
      throw refuse("STORAGE_FAILED", { details: "Storage gave no signed path." });
    }
    return `${settings.publicUrl}/storage/v1${path}`;
  }

  const below = ({ bucket, path }: Place) =>
    `${encodeURIComponent(bucket)}/${path.split("/").map(encodeURIComponent).join("/")}`;

  return {
    async uploadUrl(place, repeatable = false) {
      const { url } = await send(`/object/upload/sign/${below(place)}`, "{}", "application/json", repeatable);
      return absolute(url);
    },
    async upload(place, repeatable = false) {
      const body = await send(`/object/upload/sign/${below(place)}`, "{}", "application/json", repeatable);
      const { url, token } = body as { url: string; token: string };
      return {
        upload_url: absolute(url),
        resumable: {
          url: absolute("/upload/resumable/sign"),
          headers: { apikey: settings.anonKey, "x-signature": token },
          metadata: { bucketName: place.bucket, objectName: place.path },
        },
      };
    },
    async downloadUrl(place, filename) {
      const body = JSON.stringify({ expiresIn: downloadSeconds });
      const { signedURL } = await send(`/object/sign/${below(place)}`, body, "application/json");
      return `${absolute(signedURL)}&download=${encodeURIComponent(filename)}`;
    },
    async put(place, bytes, contentType) {
      await send(`/object/${below(place)}`, bytes, contentType);
    },
    async removeAll(bucket, paths) {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ prefixes: paths });
      const response = await ask("DELETE", `/object/${encodeURIComponent(bucket)}`, body, headers);
      const text = await response.text();
      if (!response.ok) throw refuse("STORAGE_FAILED", { details: `Storage answered ${response.status}.` });
      return (JSON.parse(text) as unknown[]).length;
    },
    async remove(place) {
      const response = await ask("DELETE", `/object/${below(place)}`);
      const text = await response.text();
      // Storage says 404 as such, or as 400 with the number in the body
      const absent = response.status === 404 || (response.status === 400 && text.includes('"404"'));
      if (!response.ok && !absent) {
        throw refuse("STORAGE_FAILED", { details: `Storage answered ${response.status}.` });
      }
    },
  };
}
