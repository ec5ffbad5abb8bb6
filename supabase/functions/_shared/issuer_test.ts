import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import * as stage from "../api/testing.ts";
import { claims, pair, signed } from "./fake_issuer.ts";
import { issuer } from "./issuer.ts";

const second = () => Math.floor(Date.now() / 1000);

const rsa = await pair("RS256", "rsa-1");
const curve = await pair("ES256", "ec-1");
const later = await pair("RS256", "rsa-2");
const short = await pair("RS256", "short", 1024);

async function vouched(make: (it: stage.Rehearsal) => Promise<string> | string, changes = {}) {
  await using it = new stage.Rehearsal(changes);
  it.fake.issuerKeys = { keys: [rsa.jwk, curve.jwk, short.jwk] };
  return await issuer(it.settings).verify(await make(it));
}

for (const by of [rsa, curve]) {
  Deno.test(`an issuer's token under ${by.alg} is verified, and only known claims are kept`, async () => {
    await using it = new stage.Rehearsal();
    it.fake.issuerKeys = { keys: [rsa.jwk, curve.jwk] };
    const told = claims(it, { secret_thing: "x", tenant_id: "x", role: "admin", environment: { a: 1 } });

    const assertion = await issuer(it.settings).verify(await signed(by, told));

    const { iss, jti, exp, sub, ref, repository, repository_id, event_name, run_id, actor } = told;
    deepStrictEqual(
      { iss, jti, exp, sub, repository, repository_id, ref, event_name, run_id, actor },
      { ...assertion },
    );
  });
}

const bad: Record<string, (it: stage.Rehearsal) => Promise<string> | string> = {
  "garbage": () => "garbage",
  "alg none": (it) => stage.unsigned(claims(it), { alg: "none", kid: "rsa-1" }) + ".AAAA",
  "HS256 with the public key as the secret": async (it) =>
    await stage.signed(claims(it), { kid: "rsa-1" }, JSON.stringify(rsa.jwk)),
  "HS256 with the secret of the project": async (it) => await stage.signed(claims(it), { kid: "rsa-1" }),
  "our own key": async (it) => await stage.ellipticToken(stage.signingJwk, { kid: "own-key" }, claims(it)),
  "a stranger under the issuer's kid": async (it) => await signed(later, claims(it), { kid: "rsa-1" }),
  "RS512": async (it) => await signed(rsa, claims(it), { alg: "RS512" }),
  "an RSA signature that says ES256": async (it) => await signed(rsa, claims(it), { alg: "ES256" }),
  "a key of 1024 bits": async (it) => await signed(short, claims(it)),
  "unknown kid": async (it) => await signed(rsa, claims(it), { kid: "unknown" }),
  "no kid": async (it) => await signed(rsa, claims(it), { kid: undefined }),
  "a key brought along": async (it) => await signed(later, claims(it), { jwk: later.jwk }),
  "a key pointed to": async (it) => await signed(later, claims(it), { jku: "https://evil.example/jwks" }),
  "critical extensions": async (it) => await signed(rsa, claims(it), { crit: ["b64"] }),
  "another issuer": async (it) => await signed(rsa, claims(it, { iss: "https://evil.example" })),
  "the issuer with a slash": async (it) =>
    await signed(rsa, claims(it, { iss: it.settings.oidcIssuer + "/" })),
  "no issuer": async (it) => await signed(rsa, claims(it, { iss: undefined })),
  "another audience": async (it) => await signed(rsa, claims(it, { aud: "https://github.com/acme" })),
  "ours among several audiences": async (it) =>
    await signed(rsa, claims(it, { aud: [it.settings.oidcAudience, "https://other.example"] })),
  "no audience": async (it) => await signed(rsa, claims(it, { aud: undefined })),
  "an empty audience": async (it) => await signed(rsa, claims(it, { aud: [] })),
  "a null audience": async (it) => await signed(rsa, claims(it, { aud: null })),
  "expired 31 s ago": async (it) => await signed(rsa, claims(it, { exp: second() - 31 })),
  "no exp": async (it) => await signed(rsa, claims(it, { exp: undefined })),
  "good for days": async (it) => await signed(rsa, claims(it, { exp: second() + 200_000 })),
  "nbf in the future": async (it) => await signed(rsa, claims(it, { nbf: second() + 60 })),
  "iat in the future": async (it) => await signed(rsa, claims(it, { iat: second() + 60 })),
  "no jti": async (it) => await signed(rsa, claims(it, { jti: undefined })),
  "an empty jti": async (it) => await signed(rsa, claims(it, { jti: "" })),
  "a jti that is a number": async (it) => await signed(rsa, claims(it, { jti: 7 })),
  "claims that are a list": async (it) => await signed(rsa, [claims(it)]),
};

for (const [name, make] of Object.entries(bad)) {
  Deno.test(`an issuer's token is refused: ${name}`, async () => {
    await rejects(vouched(make), { name: "Refusal", status: 401 });
  });
}

Deno.test("one of ours alone in a list of audiences is accepted", async () => {
  strictEqual(
    "acme/etl",
    (await vouched(async (it) => await signed(rsa, claims(it, { aud: [it.settings.oidcAudience] }))))
      .repository,
  );
});

Deno.test("the issuer's keys are fetched once, and once more for a kid that is not among them", async () => {
  await using it = new stage.Rehearsal();
  it.fake.issuerKeys = { keys: [rsa.jwk] };
  const who = issuer(it.settings);
  await who.verify(await signed(rsa, claims(it)));
  await who.verify(await signed(rsa, claims(it)));
  strictEqual(1, it.fake.count("jwks"));

  it.fake.issuerKeys = { keys: [rsa.jwk, later.jwk] };
  await rejects(who.verify(await signed(later, claims(it))), { status: 401 });
  strictEqual(1, it.fake.count("jwks")); // too soon: kids are the caller's to invent
  it.clock += 31;
  await who.verify(await signed(later, claims(it)));
  for (let index = 0; index < 5; index++) {
    await rejects(who.verify(await signed(later, claims(it), { kid: `invented-${index}` })), { status: 401 });
  }
  strictEqual(2, it.fake.count("jwks"));
});

Deno.test("tokens of others do not make us ask the issuer", async () => {
  await using it = new stage.Rehearsal();
  const who = issuer(it.settings);

  await rejects(who.verify(await signed(rsa, claims(it, { iss: "https://evil.example" }))), { status: 401 });
  strictEqual(0, it.fake.seen.length);
});

const silent: Record<string, (it: stage.Rehearsal) => void> = {
  "its keys cannot be read": (it) => it.fake.issuerKeys = new Response("oops", { status: 500 }),
  "its keys are no JSON": (it) => it.fake.issuerKeys = new Response("oops"),
  "its keys lie elsewhere": (it) => {
    it.fake.discovery = { issuer: it.fake.issuer, jwks_uri: "https://evil.example/jwks" };
  },
  "its keys are behind a redirect": (it) =>
    it.fake.issuerKeys = new Response(null, {
      status: 302,
      headers: { location: `${it.fake.url}/auth/v1/.well-known/jwks.json` },
    }),
  "its keys are endless": (it) =>
    it.fake.issuerKeys = new Response(`{"keys": [], "x": "${"x".repeat(300_000)}"}`),
  "it says that it is another": (it) => {
    it.fake.discovery = { issuer: "https://evil.example", jwks_uri: `${it.fake.issuer}/jwks` };
  },
};

for (const [name, break_] of Object.entries(silent)) {
  Deno.test(`an issuer is not there when ${name}: 503, not 401`, async () => {
    await using it = new stage.Rehearsal();
    it.fake.jwks = { keys: [rsa.jwk] };
    break_(it);

    await rejects(issuer(it.settings).verify(await signed(rsa, claims(it))), { status: 503 });
  });
}

Deno.test("while the issuer fails, the keys that were read go on", async () => {
  await using it = new stage.Rehearsal();
  it.fake.issuerKeys = { keys: [rsa.jwk] };
  const who = issuer(it.settings);
  await who.verify(await signed(rsa, claims(it)));

  it.fake.issuerKeys = new Response("oops", { status: 500 });
  it.clock += 601;
  const soon = { iat: it.clock, nbf: it.clock, exp: it.clock + 60 };
  ok(await who.verify(await signed(rsa, claims(it, soon))));
});
