import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { fromEnvironment } from "./settings.ts";

const environment: Record<string, string> = { SUPABASE_URL: "http://kong:8000/", SUPABASE_ANON_KEY: "anon" };
const read = (more: Record<string, string> = {}) =>
  fromEnvironment((name) => ({ ...environment, ...more })[name]);

Deno.test("clients see SUPABASE_URL unless CONTROL_ROOM_PUBLIC_URL says otherwise", () => {
  const own = read({ CONTROL_ROOM_PUBLIC_URL: "https://control.example/" });

  deepStrictEqual(["http://kong:8000", "http://kong:8000"], [read().supabaseUrl, read().publicUrl]);
  strictEqual("https://control.example", own.publicUrl);
});

Deno.test("what is missing is named", () => {
  throws(() => fromEnvironment(() => undefined), /SUPABASE_URL/);
});

Deno.test("a signing key that is none is named", () => {
  throws(() => read({ CONTROL_ROOM_SIGNING_KEY: "secret" }), /CONTROL_ROOM_SIGNING_KEY/);
  throws(
    () => read({ CONTROL_ROOM_SIGNING_KEY: '{"kty":"EC","crv":"P-256","x":"a","y":"b"}' }),
    /CONTROL_ROOM_SIGNING_KEY/,
  );
});

Deno.test("the master key keeps its bytes, spaces included", () => {
  strictEqual(" key ", read({ CONTROL_ROOM_MASTER_KEY: " key " }).masterKey);
});

Deno.test("workflows are vouched for by GitHub Actions, for this control room, unless it is said otherwise", () => {
  const { oidcIssuer, oidcAudience } = read({ CONTROL_ROOM_PUBLIC_URL: "https://control.example/" });

  deepStrictEqual(["https://token.actions.githubusercontent.com", "https://control.example"], [
    oidcIssuer,
    oidcAudience,
  ]);
  strictEqual("http://127.0.0.1:7", read({ CONTROL_ROOM_OIDC_ISSUER: "http://127.0.0.1:7/" }).oidcIssuer);
});

for (const issuer of ["http://ghe.example", "ghe.example", "file:///keys", "http://127.0.0.1.evil.example"]) {
  Deno.test(`no issuer: ${issuer}`, () => {
    throws(() => read({ CONTROL_ROOM_OIDC_ISSUER: issuer }), /CONTROL_ROOM_OIDC_ISSUER/);
  });
}
