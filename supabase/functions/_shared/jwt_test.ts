import { strictEqual } from "node:assert/strict";
import { signed, signingJwk, token } from "../api/testing.ts";
import { isSignedBy, mint, parse } from "./jwt.ts";
import { publicKeys, secretKeys, signingKey } from "./keys.ts";

Deno.test("the algorithm belongs to the key, not to the token", async () => {
  const [key] = await secretKeys("secret");
  const honest = parse(await token({}, {}, "secret"));
  const claiming = parse(await signed({}, { alg: "HS512" }, "secret"));

  strictEqual(true, key && honest && await isSignedBy(honest, key));
  strictEqual(false, key && claiming && await isSignedBy(claiming, key));
});

Deno.test("what we mint verifies with the public part", async () => {
  const key = await signingKey(signingJwk);
  const minted = key && parse(await mint({ a: 1 }, key.kid, key.private));

  strictEqual(true, key && minted && await isSignedBy(minted, key.public));
});

Deno.test("a signature of another length is none", async () => {
  const key = await signingKey(signingJwk);
  const minted = await mint({ a: 1 }, "own-key", key?.private as CryptoKey);

  for (const tail of ["AA", "AAAA", minted.split(".")[2] + "AAAA"]) {
    const token = parse(`${minted.split(".").slice(0, 2).join(".")}.${tail}`);
    strictEqual(false, key && token && await isSignedBy(token, key.public));
  }
});

Deno.test("a key without a name is called by its thumbprint", async () => {
  const { kid: _, ...nameless } = signingJwk;

  strictEqual(43, (await signingKey(nameless))?.kid.length);
});

Deno.test("a published secret and a foreign curve are no keys", async () => {
  const { x, y } = signingJwk;
  const keys = [{ kty: "oct", k: "c2VjcmV0" }, { kty: "EC", crv: "P-384", x, y }, null];

  strictEqual(0, (await publicKeys({ keys })).length);
  strictEqual(0, (await publicKeys({ keys: "none" })).length);
  strictEqual(0, (await publicKeys(null)).length);
});

for (
  const text of [
    "",
    "a.b",
    "a.b.c.d",
    "e30=.e30.AA",
    "e30.e30.AB",
    "e30.W10.AA",
    "e30.bnVsbA.AA",
    "e30 .e30.AA",
  ]
) {
  Deno.test(`${JSON.stringify(text)} is no token`, () => {
    strictEqual(undefined, parse(text));
  });
}
