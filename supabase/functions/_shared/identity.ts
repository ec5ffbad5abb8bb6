import { Answer, database, Trace } from "./database.ts";
import { Refusal, refuse } from "./errors.ts";
import { issuer } from "./issuer.ts";
import { isSignedBy, leewaySeconds, mint, parse, Token, untimely } from "./jwt.ts";
import { keyring } from "./keyring.ts";
import { SigningKey, signingKey } from "./keys.ts";
import { Lru } from "./lru.ts";
import { Settings } from "./settings.ts";

/** A person or a machine of one tenant. The claims are a hint: the membership row decides, in the database. */
export interface Member {
  readonly kind: "member";
  /** What PostgREST gets: the caller's own JWT, or the one minted for an access token. */
  readonly jwt: string;
  readonly tenantId: string;
  readonly userId: string;
  readonly role: Role;
  /** Set when the caller came with `cr_…`. */
  readonly accessToken?: string;
}

/** An executor outside, holding the token of one attempt. Only the database can tell whether it still holds. */
export interface Attempt {
  readonly kind: "attempt";
  readonly token: string;
  /** The attempt that the token says it is for. */
  readonly attemptId: string;
}

/** A runner that checks the bytes of one upload. Only the database can tell whether it still may. */
export interface Check {
  readonly kind: "check";
  readonly token: string;
}

/** A runner that has claimed bytes which are to go. Only the database can tell which they are. */
export interface Sweep {
  readonly kind: "sweep";
  readonly token: string;
}

export type Caller = Member | Attempt | Check | Sweep;
export type Role = "viewer" | "operator" | "admin";

/** A short JWT made from an access token. */
export interface Minted {
  readonly jwt: string;
  readonly member: Member;
  readonly expiresAt: number;
}

export interface Identity {
  /** @throws Refusal TOKEN_MISSING, TOKEN_INVALID, TENANT_MISSING, or what the database says of `cr_…` */
  caller(request: Request): Promise<Caller>;
  /** Exchanges `cr_…` for a JWT of at most `seconds`. @throws as `caller`, and NOT_CONFIGURED without a key */
  exchange(accessToken: string, seconds: number): Promise<Minted>;
  /**
   * Exchanges the token of an OpenID Connect issuer, once, for a JWT of the tenant whose trust takes it.
   *
   * @throws Refusal TOKEN_INVALID, UPSTREAM_UNAVAILABLE, NOT_CONFIGURED, or what the database says
   */
  admit(token: string, wish: Wish, trace: Trace): Promise<Minted>;
  /**
   * The person who asks, by a JWT of the project that need not name a tenant, as a JWT in which we vouch for him.
   *
   * @throws Refusal TOKEN_MISSING, TOKEN_INVALID, NOT_CONFIGURED
   */
  vouch(request: Request): Promise<string>;
}

/** What anybody may ask for: which tenant, and no more than which role. */
export interface Wish {
  readonly tenant: string;
  readonly role?: string;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const accessTokenForm = /^cr_[A-Za-z0-9_-]{8,256}$/;
const checkTokenForm = /^crck_[A-Za-z0-9_.-]{8,256}$/;
const sweepTokenForm = /^crsw_[A-Za-z0-9_.-]{8,256}$/;
const attemptTokenForm = /^crat_(\d{1,19})_[A-Za-z0-9_.-]{8,256}$/;
const tokensRemembered = 2000;
/** A key that leaves the published set stops counting within this time. */
const rememberedSeconds = 600;
/** A revoked access token works at most this long; its minted JWT is good for twice that, so it never lapses in use. */
const exchangeSeconds = 30;
/** What we vouch for is told to the database at once. */
const assertionSeconds = 30;

export function identity(settings: Settings): Identity {
  const keys = keyring(settings);
  const ours = signingKey(settings.signingKey);
  const anon = database(settings);
  const outside = issuer(settings);
  // what every token of ours says of itself
  const stamp = {
    aud: settings.jwtAudience ?? "authenticated",
    ...(settings.jwtIssuer === undefined ? {} : { iss: settings.jwtIssuer }),
  };
  const verified = new Lru<string, { member: Member; until: number }>(tokensRemembered);
  const exchanged = new Lru<string, { minted: Promise<Minted>; until: number }>(tokensRemembered);

  async function verify(jwt: string): Promise<Member> {
    const now = settings.now();
    const remembered = verified.get(jwt);
    if (remembered !== undefined && now < remembered.until) return remembered.member;
    const token = await genuine(jwt);
    const member = memberOf(token, jwt);
    const end = (token.claims.exp as number) + leewaySeconds;
    verified.set(jwt, { member, until: Math.min(end, now + rememberedSeconds) });
    return member;
  }

  /** Signed by a key of ours, in its time, and meant for us; who it is about has not been looked at. */
  async function genuine(jwt: string): Promise<Token> {
    const token = parse(jwt);
    if (token === undefined) throw invalid("it is no JSON web token");
    // RFC 7515: extensions we do not know must be refused
    if (token.header.crit !== undefined) throw invalid("it has critical extensions");
    const candidates = await keys.for(token.header.alg, token.header.kid);
    const matches = await Promise.all(candidates.map((key) => isSignedBy(token, key)));
    if (!matches.includes(true)) throw invalid("no key of ours has signed it");
    const untimeliness = untimely(token.claims, settings.now());
    if (untimeliness !== undefined) throw invalid(untimeliness);
    const misdirection = misdirected(token.claims, settings);
    if (misdirection !== undefined) throw invalid(misdirection);
    return token;
  }

  async function vouch(request: Request): Promise<string> {
    const key = await mintingKey();
    const { claims } = await genuine(bearerOf(request));
    const { sub, user_id, role, email, token_id, is_anonymous } = claims;
    const user = user_id ?? sub;
    if (typeof user !== "string" || user === "" || is_anonymous === true || token_id !== undefined) {
      throw invalid("it is no person's");
    }
    if (role !== "authenticated" && !isRole(role)) throw invalid("its role is none of ours");
    const assertion = { user_id: user, ...(typeof email === "string" && email !== "" ? { email } : {}) };
    return await vouched(assertion, key);
  }

  /** Anon's, plus what we vouch for: the database believes our signature, and never the body. */
  async function vouched(assertion: Readonly<Record<string, unknown>>, key: SigningKey): Promise<string> {
    const now = Math.floor(settings.now());
    const claims = { ...stamp, role: "anon", assertion, iat: now, exp: now + assertionSeconds };
    return await mint(claims, key.kid, key.private);
  }

  async function exchange(accessToken: string, seconds: number): Promise<Minted> {
    const key = await mintingKey();
    const answer = await anon.call("exchange_token", JSON.stringify({ token: accessToken }));
    return await minted(opened(answer, "exchange_token"), seconds, key, accessToken);
  }

  async function admit(token: string, wish: Wish, trace: Trace): Promise<Minted> {
    const key = await mintingKey();
    const assertion = await outside.verify(token);
    const ours = await vouched(assertion, key);
    const answer = await anon.call("exchange_assertion", JSON.stringify(wish), ours, trace);
    const given = opened(answer, "exchange_assertion");
    return await minted(given, given.expires_in as number, key);
  }

  async function mintingKey(): Promise<SigningKey> {
    const key = await ours;
    if (key === undefined) throw refuse("NOT_CONFIGURED", { details: "CONTROL_ROOM_SIGNING_KEY" });
    return key;
  }

  // deno-lint-ignore no-explicit-any -- the database's own answer
  async function minted(given: any, seconds: number, key: SigningKey, accessToken?: string): Promise<Minted> {
    const now = Math.floor(settings.now());
    const end = given.expires_at ? Math.floor(Date.parse(given.expires_at) / 1000) : Infinity;
    const expiresAt = Math.min(now + seconds, end);
    const { tenant_id, user_id, role, token_id } = given;
    const who = { sub: user_id, tenant_id, user_id, role, token_id };
    const jwt = await mint({ ...stamp, ...who, iat: now, exp: expiresAt }, key.kid, key.private);
    const member: Member = {
      kind: "member",
      jwt,
      tenantId: tenant_id,
      userId: user_id,
      role,
      ...(accessToken === undefined ? {} : { accessToken }),
    };
    return { jwt, member, expiresAt };
  }

  /** Many requests with one access token ask the database once in `exchangeSeconds`. */
  async function machine(accessToken: string): Promise<Member> {
    const now = settings.now();
    let entry = exchanged.get(accessToken);
    if (entry === undefined || now >= entry.until) {
      entry = { minted: exchange(accessToken, exchangeSeconds * 2), until: now + exchangeSeconds };
      exchanged.set(accessToken, entry);
    }
    try {
      return (await entry.minted).member;
    } catch (error) {
      exchanged.delete(accessToken);
      throw error;
    }
  }

  return {
    exchange,
    admit,
    vouch,
    async caller(request) {
      const bearer = bearerOf(request);
      const [, attemptId] = attemptTokenForm.exec(bearer) ?? [];
      if (attemptId !== undefined) return { kind: "attempt", token: bearer, attemptId };
      if (checkTokenForm.test(bearer)) return { kind: "check", token: bearer };
      if (sweepTokenForm.test(bearer)) return { kind: "sweep", token: bearer };
      if (accessTokenForm.test(bearer)) return await machine(bearer);
      return await verify(bearer);
    },
  };
}

function bearerOf(request: Request): string {
  const header = request.headers.get("authorization");
  if (header === null) throw refuse("TOKEN_MISSING");
  // one scheme, one token: two Authorization headers arrive joined by a comma and do not match
  const match = /^bearer +([A-Za-z0-9._~+/=-]+) *$/i.exec(header);
  if (match === null) throw invalid("the Authorization header is not one bearer token");
  return match[1] as string;
}

/** Why the token is not meant for us, or undefined. A claim that is configured must be there. */
function misdirected({ aud, iss }: Token["claims"], settings: Settings): string | undefined {
  const { jwtAudience, jwtIssuer } = settings;
  if (
    aud === undefined ? jwtAudience !== undefined : ![aud].flat().includes(jwtAudience ?? "authenticated")
  ) {
    return "it is for another audience";
  }
  return jwtIssuer !== undefined && iss !== jwtIssuer ? "it is of another issuer" : undefined;
}

/** The two accepted shapes: `role` is ours itself, or it is `authenticated` and `user_role` is ours. */
function memberOf({ claims }: Token, jwt: string): Member {
  const { tenant_id, user_id, sub, role, user_role } = claims;
  const effective = role === "authenticated" ? user_role : role;
  if (typeof tenant_id !== "string" || !uuid.test(tenant_id)) throw refuse("TENANT_MISSING");
  if (!isRole(effective)) throw invalid("its role is none of ours");
  const userId = user_id ?? sub;
  if (typeof userId !== "string" || userId === "") {
    throw refuse("TENANT_MISSING", { details: "The token names no user." });
  }
  return { kind: "member", jwt, tenantId: tenant_id, userId, role: effective };
}

function isRole(value: unknown): value is Role {
  return value === "viewer" || value === "operator" || value === "admin";
}

function invalid(why: string): Refusal {
  return refuse("TOKEN_INVALID", { details: `The bearer token is refused: ${why}.` });
}

function opened(answer: Answer, name: string): Record<string, unknown> {
  if (answer.status === 200) return JSON.parse(answer.text);
  throw new Refusal(answer.status, answer.text, passed(answer.headers), name);
}

function passed(headers: Headers): Record<string, string> {
  const kept: Record<string, string> = { "content-type": "application/json; charset=utf-8" };
  const challenge = headers.get("www-authenticate");
  if (challenge !== null) kept["www-authenticate"] = challenge;
  return kept;
}
