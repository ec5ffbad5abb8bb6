/** What the function is told by its environment, read once and handed down as a value. */
export interface Settings {
  /** Where PostgREST, Storage and Auth answer, without a trailing slash. */
  readonly supabaseUrl: string;
  /** What clients see in front of the same doors: every URL handed out starts with it. */
  readonly publicUrl: string;
  readonly anonKey: string;
  /** Signs Storage URLs, nothing else: rows are read and written with the caller's own token. */
  readonly serviceKey: string | undefined;
  /** HS256: the secret itself, or a JWK or JWK set, as PostgREST's `jwt-secret` takes them. */
  readonly jwtSecret: string | undefined;
  /** Our own ES256 private JWK, for the tokens we mint. */
  readonly signingKey: JsonWebKey & { kid?: string } | undefined;
  /** Webhook secrets are derived from it; it is never stored. */
  readonly masterKey: string | undefined;
  /** Who may vouch for workflows (`iss` of their tokens), without a trailing slash. */
  readonly oidcIssuer: string;
  /** For whom such a token must be made out (`aud`): this control room, and nobody else. */
  readonly oidcAudience: string;
  /** `iss` that members' tokens must have; undefined: not looked at. */
  readonly jwtIssuer: string | undefined;
  /** `aud` that members' tokens must have; undefined: "authenticated" where there is one. */
  readonly jwtAudience: string | undefined;
  /** A followed log closes itself after this long; the hosted platform cuts at 150 s. */
  readonly followMilliseconds: number;
  /** Pause between two looks at a followed log. */
  readonly pollMilliseconds: number;
  /** Longest wait for PostgREST or Storage; its own statement timeout is 8 s. */
  readonly upstreamMilliseconds: number;
  /** Seconds since 1970. */
  readonly now: () => number;
}

/**
 * Reads the settings through `read`.
 *
 * @throws Error naming the variable that is missing or cannot be read. A function that starts
 * half-configured would fail later, on somebody's request.
 */
export function fromEnvironment(read: (name: string) => string | undefined): Settings {
  const optional = (name: string): string | undefined => read(name)?.trim() || undefined;
  const required = (name: string): string => {
    const value = optional(name);
    if (value === undefined) throw new Error(`${name} is not set: the api function needs it`);
    return value;
  };
  const supabaseUrl = required("SUPABASE_URL").replace(/\/+$/, "");
  const publicUrl = (optional("CONTROL_ROOM_PUBLIC_URL") ?? supabaseUrl).replace(/\/+$/, "");
  return {
    supabaseUrl,
    publicUrl,
    anonKey: required("SUPABASE_ANON_KEY"),
    serviceKey: optional("SUPABASE_SERVICE_ROLE_KEY"),
    jwtSecret: optional("CONTROL_ROOM_JWT_SECRET"),
    signingKey: privateKey(optional("CONTROL_ROOM_SIGNING_KEY")),
    masterKey: read("CONTROL_ROOM_MASTER_KEY") || undefined,
    oidcIssuer: issuerUrl(optional("CONTROL_ROOM_OIDC_ISSUER") ?? githubActions),
    oidcAudience: optional("CONTROL_ROOM_OIDC_AUDIENCE") ?? publicUrl,
    jwtIssuer: optional("CONTROL_ROOM_JWT_ISSUER"),
    jwtAudience: optional("CONTROL_ROOM_JWT_AUDIENCE"),
    followMilliseconds: 120_000,
    pollMilliseconds: 500,
    upstreamMilliseconds: 20_000,
    now: () => Date.now() / 1000,
  };
}

const githubActions = "https://token.actions.githubusercontent.com";

/** Keys that come over an open line are nobody's keys; only this machine's own issuer may speak http. */
function issuerUrl(text: string): string {
  const url = URL.parse(text);
  const local = url?.protocol === "http:" && (url.hostname === "127.0.0.1" || url.hostname === "localhost");
  if (url?.protocol !== "https:" && !local) {
    throw new Error("CONTROL_ROOM_OIDC_ISSUER is no https URL: give the `iss` of the tokens to be exchanged");
  }
  return text.replace(/\/+$/, "");
}

function privateKey(text: string | undefined): Settings["signingKey"] {
  if (text === undefined) return undefined;
  let key: Settings["signingKey"];
  try {
    key = JSON.parse(text);
  } catch {
    key = undefined;
  }
  if (key?.kty !== "EC" || key.crv !== "P-256" || typeof key.d !== "string") {
    throw new Error(
      "CONTROL_ROOM_SIGNING_KEY is no ES256 private key in JWK form: make one with `supabase gen signing-key`",
    );
  }
  return key;
}
