import { Buffer } from "node:buffer";
import { FakeSupabase } from "../_shared/fake_supabase.ts";
import { identity } from "../_shared/identity.ts";
import { Settings } from "../_shared/settings.ts";
import { door } from "./door.ts";
import { routes } from "./routes/table.ts";

export const secret = "a secret of the tests that is long enough for HS256";
export const tenantId = "11111111-1111-4111-8111-111111111111";
export const someId = "22222222-2222-4222-8222-222222222222";
export const accessToken = "cr_" + "a".repeat(40);
export const checkToken = "crck_" + "c".repeat(40);
export const sweepToken = "crsw_" + "d".repeat(40);
export const attemptToken = "crat_7_1_" + "b".repeat(40);

/** A key pair of the tests alone. */
export const signingJwk = {
  kty: "EC",
  crv: "P-256",
  kid: "own-key",
  x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
  d: "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
} as const;

/** The door with the real routes in front of a fake Supabase: what a route's test stands on. */
export class Rehearsal implements AsyncDisposable {
  readonly fake = new FakeSupabase();
  readonly settings: Settings;
  /** Seconds since 1970; tests may turn the clock. */
  clock = Date.now() / 1000;
  readonly #door: (request: Request) => Promise<Response>;

  constructor(changes: Partial<Settings> = {}, table = routes) {
    this.settings = {
      supabaseUrl: this.fake.url,
      publicUrl: "https://control.example",
      anonKey: "anon-key",
      serviceKey: "service-key",
      jwtSecret: secret,
      signingKey: signingJwk,
      masterKey: "test-master-key",
      oidcIssuer: this.fake.issuer,
      oidcAudience: "https://control.example",
      jwtIssuer: undefined,
      jwtAudience: undefined,
      followMilliseconds: 2000,
      pollMilliseconds: 5,
      upstreamMilliseconds: 2000,
      now: () => this.clock,
      ...changes,
    };
    this.#door = door(table, this.settings, identity(this.settings));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fake[Symbol.asyncDispose]();
  }

  /** Knocks at `/api/v1<path>` as an operator, unless `init` brings its own Authorization (or `null`). */
  async ask(method: string, path: string, init: Ask = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    const bearer = init.bearer === undefined ? await token() : init.bearer;
    if (bearer !== null && !headers.has("authorization")) headers.set("authorization", `Bearer ${bearer}`);
    const body = init.body === undefined || typeof init.body === "string" || init.body instanceof Uint8Array
      ? init.body
      : JSON.stringify(init.body);
    const given = { method, headers, ...(body === undefined ? {} : { body: body as BodyInit }) };
    return await this.#door(new Request(`http://edge.local/api/v1${path}`, given));
  }

  /** The function itself, for tests with requests of their own making. */
  get door(): (request: Request) => Promise<Response> {
    return this.#door;
  }
}

interface Ask {
  readonly headers?: HeadersInit;
  /** null: no Authorization header */
  readonly bearer?: string | null;
  readonly body?: unknown;
}

const now = () => Math.floor(Date.now() / 1000);

export function goodClaims(): Record<string, unknown> {
  return {
    tenant_id: tenantId,
    user_id: "user-1",
    role: "operator",
    aud: "authenticated",
    iat: now(),
    exp: now() + 600,
  };
}

/** An HS256 token of the tests' secret; `claims` and `header` override, undefined removes. */
export async function token(
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  key: string | Uint8Array<ArrayBuffer> = secret,
  hash = "SHA-256",
): Promise<string> {
  return await signed({ ...goodClaims(), ...claims }, header, key, hash);
}

/** As `token`, with any payload. */
export async function signed(
  payload: unknown,
  header: Record<string, unknown> = {},
  key: string | Uint8Array<ArrayBuffer> = secret,
  hash = "SHA-256",
): Promise<string> {
  const parts = unsigned(payload, { alg: "HS256", typ: "JWT", ...header });
  const raw = typeof key === "string" ? new TextEncoder().encode(key) : key;
  const hmac = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash }, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", hmac, new TextEncoder().encode(parts));
  return `${parts}.${Buffer.from(signature).toString("base64url")}`;
}

/** An ES256 token signed with a private JWK. */
export async function ellipticToken(
  jwk: JsonWebKey,
  header: Record<string, unknown> = {},
  claims = {},
): Promise<string> {
  const signed = unsigned({ ...goodClaims(), ...claims }, { alg: "ES256", typ: "JWT", ...header });
  const way = { name: "ECDSA", namedCurve: "P-256" };
  const key = await crypto.subtle.importKey("jwk", { ...jwk, key_ops: ["sign"] }, way, false, ["sign"]);
  const signature = await crypto.subtle.sign(
    { name: "ECDSA", hash: "SHA-256" },
    key,
    new TextEncoder().encode(signed),
  );
  return `${signed}.${Buffer.from(signature).toString("base64url")}`;
}

/** The first two parts of a token. */
export function unsigned(claims: unknown, header: unknown): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part(header)}.${part(claims)}`;
}
