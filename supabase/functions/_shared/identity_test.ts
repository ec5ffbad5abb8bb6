import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as stage from "../api/testing.ts";
import { Refusal } from "./errors.ts";
import { Identity, identity } from "./identity.ts";

const second = () => Math.floor(Date.now() / 1000);
const asked = (authorization?: string): Request =>
  new Request("http://edge.local/", authorization === undefined ? {} : { headers: { authorization } });

/** The identity of the tests' settings, with nothing but those. */
async function recognised(bearer: string | undefined, scheme = "Bearer ") {
  await using it = new stage.Rehearsal();
  return await identity(it.settings).caller(asked(bearer === undefined ? undefined : scheme + bearer));
}

function tampered(jwt: string, change: (parts: string[]) => unknown[]): string {
  return change(jwt.split(".")).join(".");
}

const publicPem = () => Buffer.from(JSON.stringify({ ...stage.signingJwk, d: undefined }));
const strangers = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
  "sign",
  "verify",
]);
const strangerJwk = await crypto.subtle.exportKey("jwk", strangers.privateKey);

const badTokens: Record<string, () => Promise<string> | string> = {
  "alg none": () => stage.unsigned(stage.goodClaims(), { alg: "none", typ: "JWT" }) + ".",
  "alg None": () => stage.unsigned(stage.goodClaims(), { alg: "None" }) + ".",
  "alg NONE with a signature": async () => await stage.token({}, { alg: "NONE" }),
  "no alg": async () => await stage.token({}, { alg: undefined }),
  "alg as a list": async () => await stage.token({}, { alg: ["HS256"] }),
  "HS256 with our public key as the secret": async () =>
    await stage.token({}, {}, new Uint8Array(publicPem())),
  "HS256 signature that says ES256": async () => await stage.token({}, { alg: "ES256" }),
  "HS256 signature with the kid of our ES256 key": async () => await stage.token({}, { kid: "own-key" }),
  "HS384": async () => await stage.token({}, { alg: "HS384" }, stage.secret, "SHA-384"),
  "HS512": async () => await stage.token({}, { alg: "HS512" }, stage.secret, "SHA-512"),
  "wrong secret": async () => await stage.token({}, {}, "another secret"),
  "tampered payload": async () =>
    tampered(await stage.token(), ([h, , s]) => {
      const forged = { ...stage.goodClaims(), role: "admin" };
      return [h, Buffer.from(JSON.stringify(forged)).toString("base64url"), s];
    }),
  "tampered signature": async () =>
    tampered(await stage.token(), ([h, p, s = ""]) => [h, p, (s[0] === "A" ? "B" : "A") + s.slice(1)]),
  "a signature with spare bits set": async () =>
    tampered(await stage.token(), ([h, p, s = ""]) => {
      const signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      return [h, p, s.slice(0, -1) + signs[signs.indexOf(s.at(-1) as string) ^ 1]];
    }),
  "a padded signature": async () => await stage.token() + "=",
  "empty signature": async () => tampered(await stage.token(), ([h, p]) => [h, p, ""]),
  "two parts": async () => tampered(await stage.token(), ([h, p]) => [h, p]),
  "four parts": async () => await stage.token() + ".AAAA",
  "garbage": () => "garbage",
  "garbage in three parts": () => "a.b.c",
  "claims that are a list": () => stage.signed([stage.goodClaims()]),
  "claims that are null": () => stage.signed(null),
  "unknown kid": async () => await stage.token({}, { kid: "unknown" }),
  "kid as a path": async () => await stage.token({}, { kid: "../../../dev/null" }),
  "kid as SQL": async () => await stage.token({}, { kid: "' or 1=1 --" }),
  "kid as a number": async () => await stage.token({}, { kid: 1 }),
  "a key brought along as jwk": async () =>
    await stage.ellipticToken(strangerJwk, { jwk: { ...strangerJwk, d: undefined } }),
  "a key pointed to by jku": async () =>
    await stage.ellipticToken(strangerJwk, { jku: "https://evil.example/jwks.json", kid: "evil" }),
  "ES256 by a stranger under our kid": async () => await stage.ellipticToken(strangerJwk, { kid: "own-key" }),
  "critical extensions": async () => await stage.token({}, { crit: ["b64"], b64: false }),
  "expired 31 s ago": async () => await stage.token({ exp: second() - 31 }),
  "no exp": async () => await stage.token({ exp: undefined }),
  "exp as text": async () => await stage.token({ exp: String(second() + 600) }),
  "nbf in the future": async () => await stage.token({ nbf: second() + 60 }),
  "iat in the future": async () => await stage.token({ iat: second() + 60 }),
  "another audience": async () => await stage.token({ aud: "elsewhere" }),
  "an empty audience": async () => await stage.token({ aud: [] }),
  "a null audience": async () => await stage.token({ aud: null }),
  "no role": async () => await stage.token({ role: undefined }),
  "role anon": async () => await stage.token({ role: "anon" }),
  "role service_role": async () => await stage.token({ role: "service_role" }),
  "role postgres": async () => await stage.token({ role: "postgres" }),
  "role none": async () => await stage.token({ role: "none" }),
  "role in another case": async () => await stage.token({ role: "Admin" }),
  "role as a list": async () => await stage.token({ role: ["admin"] }),
  "authenticated without user_role": async () => await stage.token({ role: "authenticated" }),
  "authenticated as service_role": async () =>
    await stage.token({ role: "authenticated", user_role: "service_role" }),
  "no tenant": async () => await stage.token({ tenant_id: undefined }),
  "tenant null": async () => await stage.token({ tenant_id: null }),
  "tenant as a list": async () => await stage.token({ tenant_id: [stage.tenantId] }),
  "tenant as a number": async () => await stage.token({ tenant_id: 9007199254740993 }),
  "tenant as no UUID": async () => await stage.token({ tenant_id: "1" }),
  "no user": async () => await stage.token({ user_id: undefined }),
  "a token of 9000 characters": async () => await stage.token({ padding: "x".repeat(9000) }),
};

for (const [name, make] of Object.entries(badTokens)) {
  Deno.test(`refused with 401: ${name}`, async () => {
    const bearer = await make();

    await rejects(recognised(bearer), (error) => {
      ok(error instanceof Refusal);
      strictEqual(401, error.status);
      ok(error.headers["www-authenticate"]?.startsWith("Bearer"));
      deepStrictEqual(["code", "message", "details", "hint"], Object.keys(JSON.parse(error.body)));
      ok(bearer.length < 5 || !error.body.includes(bearer));
      return true;
    });
  });
}

const badHeaders: Record<string, string | undefined> = {
  "no header": undefined,
  "an empty header": "",
  "Basic": "Basic dXNlcjpwYXNz",
  "a bearer without a token": "Bearer ",
  "two tokens in two headers": `Bearer ${await stage.token()}, Bearer ${await stage.token()}`,
  "a token without a scheme": await stage.token(),
};

for (const [name, header] of Object.entries(badHeaders)) {
  Deno.test(`refused with 401: ${name}`, async () => {
    await using it = new stage.Rehearsal();

    await rejects(identity(it.settings).caller(asked(header)), { name: "Refusal", status: 401 });
  });
}

Deno.test("a token without a tenant is told so", async () => {
  await rejects(recognised(await stage.token({ tenant_id: undefined })), /TENANT_MISSING/);
});

Deno.test("a request without a token is told the scheme only", async () => {
  await rejects(recognised(undefined), (error) => {
    strictEqual('Bearer realm="control-room"', (error as Refusal).headers["www-authenticate"]);
    return true;
  });
});

// positive controls: what the refusals above differ from

const goodTokens: Record<string, () => Promise<string>> = {
  "HS256": () => stage.token(),
  "role admin itself": () => stage.token({ role: "admin" }),
  "authenticated with user_role": () => stage.token({ role: "authenticated", user_role: "viewer" }),
  "sub instead of user_id": () => stage.token({ user_id: undefined, sub: "user-1" }),
  "no audience": () => stage.token({ aud: undefined }),
  "ours among several audiences": () => stage.token({ aud: ["other", "authenticated"] }),
  "expired 29 s ago": () => stage.token({ exp: second() - 28 }),
  "nbf in 29 s": () => stage.token({ nbf: second() + 29 }),
  "iat in 29 s": () => stage.token({ iat: second() + 29 }),
  "no iat": () => stage.token({ iat: undefined }),
  "ES256 with our key and kid": () => stage.ellipticToken(stage.signingJwk, { kid: "own-key" }),
  "ES256 with our key, without kid": () => stage.ellipticToken(stage.signingJwk),
};

for (const [name, make] of Object.entries(goodTokens)) {
  Deno.test(`accepted: ${name}`, async () => {
    const jwt = await make();

    const caller = await recognised(jwt);

    ok(caller.kind === "member");
    deepStrictEqual([jwt, stage.tenantId, "user-1"], [caller.jwt, caller.tenantId, caller.userId]);
  });
}

for (const scheme of ["bearer ", "BEARER ", "Bearer  "]) {
  Deno.test(`accepted: the scheme written ${JSON.stringify(scheme)}`, async () => {
    strictEqual("member", (await recognised(await stage.token(), scheme)).kind);
  });
}

Deno.test("the secret may be a JWK set, whose kids then count", async () => {
  const keys = [{ kty: "oct", kid: "one", k: Buffer.from(stage.secret).toString("base64url") }];
  await using it = new stage.Rehearsal({ jwtSecret: JSON.stringify({ keys }) });
  const who = identity(it.settings);

  strictEqual("member", (await who.caller(asked(`Bearer ${await stage.token({}, { kid: "one" })}`))).kind);
  await rejects(who.caller(asked(`Bearer ${await stage.token({}, { kid: "two" })}`)), { status: 401 });
});

Deno.test("ES256 by the project's published keys, fetched once", async () => {
  await using it = new stage.Rehearsal();
  it.fake.jwks = { keys: [{ ...strangerJwk, d: undefined, kid: "project", key_ops: ["verify"] }] };
  const who = identity(it.settings);
  const jwt = () => stage.ellipticToken(strangerJwk, { kid: "project" });

  strictEqual("member", (await who.caller(asked(`Bearer ${await jwt()}`))).kind);
  strictEqual("member", (await who.caller(asked(`Bearer ${await jwt()}`))).kind);
  strictEqual(1, it.fake.count("jwks.json"));
});

Deno.test("unknown kids do not make us fetch the published keys again and again", async () => {
  await using it = new stage.Rehearsal();
  const who = identity(it.settings);

  for (let index = 0; index < 5; index++) {
    const jwt = await stage.ellipticToken(strangerJwk, { kid: `invented-${index}` });
    await rejects(who.caller(asked(`Bearer ${jwt}`)), { status: 401 });
  }
  strictEqual(1, it.fake.count("jwks.json"));
});

Deno.test("a key that the project publishes later is found after the pause", async () => {
  await using it = new stage.Rehearsal();
  const who = identity(it.settings);
  const jwt = await stage.ellipticToken(strangerJwk, { kid: "rotated" });
  await rejects(who.caller(asked(`Bearer ${jwt}`)), { status: 401 });
  it.fake.jwks = { keys: [{ ...strangerJwk, d: undefined, kid: "rotated", key_ops: ["verify"] }] };

  it.clock += 31;
  strictEqual("member", (await who.caller(asked(`Bearer ${jwt}`))).kind);
});

Deno.test("a secret in the published key set is no key", async () => {
  await using it = new stage.Rehearsal({ jwtSecret: undefined });
  it.fake.jwks = { keys: [{ kty: "oct", k: Buffer.from(stage.secret).toString("base64url") }] };

  await rejects(identity(it.settings).caller(asked(`Bearer ${await stage.token()}`)), { status: 401 });
});

Deno.test("a verified token is remembered, and refused once it has expired", async () => {
  await using it = new stage.Rehearsal();
  const who = identity(it.settings);
  const jwt = await stage.token({ exp: second() + 60 });
  strictEqual("member", (await who.caller(asked(`Bearer ${jwt}`))).kind);

  it.clock += 92;
  await rejects(who.caller(asked(`Bearer ${jwt}`)), /expired|TOKEN_INVALID/);
});

// access tokens

const exchanged = {
  tenant_id: stage.tenantId,
  user_id: "machine-1",
  role: "operator",
  token_id: stage.someId,
};

async function machine(it: stage.Rehearsal, who: Identity = identity(it.settings)) {
  const caller = await who.caller(asked(`Bearer ${stage.accessToken}`));
  ok(caller.kind === "member");
  return caller;
}

Deno.test("an access token becomes a JWT that we ourselves accept, with the token's id in it", async () => {
  await using it = new stage.Rehearsal();
  it.fake.on("exchange_token", { status: 200, body: { ...exchanged, expires_at: null } });

  const caller = await machine(it);

  deepStrictEqual({ token: stage.accessToken }, it.fake.last("exchange_token").json);
  strictEqual("operator", caller.role);
  const claims = JSON.parse(Buffer.from(caller.jwt.split(".")[1] as string, "base64url").toString());
  strictEqual(stage.someId, claims.token_id);
  ok(claims.exp - claims.iat <= 60);
  strictEqual("member", (await identity(it.settings).caller(asked(`Bearer ${caller.jwt}`))).kind);
});

Deno.test("many requests with one access token ask the database once in 30 s", async () => {
  await using it = new stage.Rehearsal();
  it.fake.on("exchange_token", { status: 200, body: { ...exchanged, expires_at: null } });
  const who = identity(it.settings);

  await Promise.all(Array.from({ length: 20 }, () => machine(it, who)));
  strictEqual(1, it.fake.count("exchange_token"));
  it.clock += 31;
  await machine(it, who);
  strictEqual(2, it.fake.count("exchange_token"));
});

Deno.test("the minted JWT does not outlive the access token", async () => {
  await using it = new stage.Rehearsal();
  const end = new Date((Math.floor(it.clock) + 10) * 1000).toISOString();
  it.fake.on("exchange_token", { status: 200, body: { ...exchanged, expires_at: end } });

  const { expiresAt } = await identity(it.settings).exchange(stage.accessToken, 600);

  strictEqual(Math.floor(it.clock) + 10, expiresAt);
});

Deno.test("a revoked access token gets the database's own words, and is asked for again next time", async () => {
  await using it = new stage.Rehearsal();
  const body = { code: "TOKEN_INVALID", message: "The token cannot be verified.", details: null, hint: null };
  const headers = { "www-authenticate": "Bearer", "content-type": "application/json" };
  it.fake.on("exchange_token", () => new Response(JSON.stringify(body), { status: 401, headers }));
  const who = identity(it.settings);

  await rejects(machine(it, who), { status: 401, body: JSON.stringify(body) });
  await rejects(machine(it, who), { status: 401 });
  strictEqual(2, it.fake.count("exchange_token"));
});

Deno.test("without a signing key access tokens are refused as not configured", async () => {
  await using it = new stage.Rehearsal({ signingKey: undefined });

  await rejects(machine(it), /NOT_CONFIGURED/);
});

Deno.test("an attempt token is passed on unexamined", async () => {
  deepStrictEqual(
    { kind: "attempt", token: stage.attemptToken, attemptId: "7" },
    await recognised(stage.attemptToken),
  );
});

// aud and iss, where they are configured

const configured = { jwtAudience: "control-room", jwtIssuer: "https://project.supabase.co/auth/v1" };
const meant = { aud: "control-room", iss: "https://project.supabase.co/auth/v1" };

const misdirected: Record<string, Record<string, unknown>> = {
  "no audience": { aud: undefined },
  "the usual audience": { aud: "authenticated" },
  "no issuer": { iss: undefined },
  "another issuer": { iss: "https://other.supabase.co/auth/v1" },
  "the issuer in a list": { iss: [meant.iss] },
};

for (const [name, changes] of Object.entries(misdirected)) {
  Deno.test(`refused with 401 where aud and iss are configured: ${name}`, async () => {
    await using it = new stage.Rehearsal(configured);
    const jwt = await stage.token({ ...meant, ...changes });

    await rejects(identity(it.settings).caller(asked(`Bearer ${jwt}`)), { name: "Refusal", status: 401 });
  });
}

Deno.test("accepted where aud and iss are configured: what bears both, our own tokens among them", async () => {
  await using it = new stage.Rehearsal(configured);
  it.fake.on("exchange_token", { status: 200, body: { ...exchanged, expires_at: null } });
  const who = identity(it.settings);

  strictEqual("member", (await who.caller(asked(`Bearer ${await stage.token(meant)}`))).kind);
  const { jwt } = await machine(it, who);
  strictEqual("member", (await identity(it.settings).caller(asked(`Bearer ${jwt}`))).kind);
});

Deno.test("a published key that is for encryption, or for another algorithm, verifies nothing", async () => {
  await using it = new stage.Rehearsal({ jwtSecret: undefined });
  it.fake.jwks = { keys: [{ ...strangerJwk, d: undefined, kid: "enc", use: "enc", key_ops: ["verify"] }] };
  const jwt = await stage.ellipticToken(strangerJwk, { kid: "enc" });

  await rejects(identity(it.settings).caller(asked(`Bearer ${jwt}`)), { status: 401 });
});
