/**
 * The errors that the edge itself raises, in PostgREST's shape `{code, message, details, hint}`.
 *
 * What the database raises passes through unchanged, so both doors speak alike. Codes that both raise have
 * the same words here as in `ground.error_codes`, of which `docs/errors.md` is made.
 */
interface Entry {
  readonly status: number;
  /** What happened, for the list. */
  readonly meaning: string;
  /** What the caller does about it; the default hint. */
  readonly mend: string;
}

export const edgeErrors = {
  BODY_INVALID: {
    status: 400,
    meaning: "The body is no JSON of the expected form.",
    mend: "Send a JSON object with Content-Type: application/json.",
  },
  FIELD_INVALID: {
    status: 400,
    meaning: "A field has a value that is not allowed.",
    mend: "Correct the field at the path in details.",
  },
  EVENT_INVALID: {
    status: 400,
    meaning: "The lineage event has not the shape of an OpenLineage event.",
    mend: "See details for the path; all of eventTime, producer, schemaURL are needed.",
  },
  TOKEN_MISSING: {
    status: 401,
    meaning: "The request carries no bearer token.",
    mend: "Send Authorization: Bearer <token>.",
  },
  TOKEN_INVALID: {
    status: 401,
    meaning: "The token cannot be verified.",
    mend: "Get a new token; check signature, algorithm and expiry.",
  },
  ATTEMPT_TOKEN_INVALID: {
    status: 401,
    meaning: "The attempt token is unknown, or its attempt has ended.",
    mend: "Stop: the attempt was settled or belongs to someone else.",
  },
  CHECK_TOKEN_INVALID: {
    status: 401,
    meaning: "The check token is unknown or its check has ended.",
    mend: "Claim the upload again.",
  },
  SWEEP_TOKEN_INVALID: {
    status: 401,
    meaning: "The token of the sweep is unknown or its time is over.",
    mend: "Claim what is to be removed again.",
  },
  TENANT_MISSING: {
    status: 401,
    meaning: "The token names no tenant.",
    mend: "Use a token whose claims carry tenant_id (a UUID) and user_id or sub.",
  },
  ROLE_INSUFFICIENT: {
    status: 403,
    meaning: "The member's role may not do this.",
    mend: "Ask an admin of the tenant for the role named in details.",
  },
  ROUTE_NOT_FOUND: {
    status: 404,
    meaning: "There is no such path.",
    mend: "See /api/v1/openapi.json.",
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    meaning: "The path exists, the method does not.",
    mend: "See the Allow header.",
  },
  BODY_TOO_LARGE: {
    status: 413,
    meaning: "The body is larger than this door accepts.",
    mend: "Upload bytes by signed URL, send batches in parts.",
  },
  ENCODING_UNSUPPORTED: {
    status: 415,
    meaning: "The body is compressed in a way this door does not read.",
    mend: "Send it plain, or with Content-Encoding gzip or deflate.",
  },
  RATE_LIMITED: {
    status: 429,
    meaning: "Too many requests.",
    mend: "Wait for the seconds in Retry-After.",
  },
  INTERNAL_ERROR: {
    status: 500,
    meaning: "A fault of ours.",
    mend: "Report the request id; nothing was half-written.",
  },
  NOT_CONFIGURED: {
    status: 501,
    meaning: "This deployment lacks a function secret that the route needs.",
    mend: "Set the variable that details names, with `supabase secrets set`.",
  },
  STORAGE_FAILED: {
    status: 502,
    meaning: "Storage refused or failed.",
    mend: "Try again; if it stays, check that the bucket exists and that the service key is right.",
  },
  UPSTREAM_UNAVAILABLE: {
    status: 503,
    meaning: "A part behind this door does not answer.",
    mend: "Try again; GET /api/v1/health tells which part.",
  },
  UPSTREAM_TIMEOUT: {
    status: 504,
    meaning: "A part behind this door took too long.",
    mend: "Ask for less at once (limit, depth), or try again.",
  },
} as const satisfies Record<string, Entry>;

export type EdgeCode = keyof typeof edgeErrors;

export interface Particulars {
  readonly message?: string;
  readonly details?: string;
  readonly hint?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that is known before the route has finished: thrown anywhere, sent by the door. */
export class Refusal extends Error {
  override readonly name = "Refusal";

  constructor(
    readonly status: number,
    readonly body: string,
    readonly headers: Readonly<Record<string, string>>,
    message: string,
  ) {
    super(message);
  }

  response(): Response {
    return new Response(this.body, { status: this.status, headers: this.headers });
  }
}

/** The refusal with the status, the default words and the headers that belong to `code`. */
export function refuse(code: EdgeCode, particulars: Particulars = {}): Refusal {
  const { status, meaning, mend } = edgeErrors[code];
  const message = particulars.message ?? meaning;
  const body = { code, message, details: particulars.details ?? null, hint: particulars.hint ?? mend };
  const headers: Record<string, string> = { "content-type": "application/json; charset=utf-8" };
  if (status === 401) {
    // RFC 6750: a request without credentials is told the scheme only
    headers["www-authenticate"] = code === "TOKEN_MISSING"
      ? 'Bearer realm="control-room"'
      : 'Bearer realm="control-room", error="invalid_token"';
  }
  if (status === 503) headers["retry-after"] = "1";
  return new Refusal(
    status,
    JSON.stringify(body),
    { ...headers, ...particulars.headers },
    `${code}: ${message}`,
  );
}
