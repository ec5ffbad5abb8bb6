import { deepStrictEqual, rejects } from "node:assert/strict";
import { Refusal } from "./errors.ts";
import { FakeSupabase } from "./fake_supabase.ts";
import { Member } from "./identity.ts";
import { fromEnvironment } from "./settings.ts";
import { rateLimiter } from "./rate_limit.ts";

const member = (jwt: string): Member => ({
  kind: "member",
  jwt,
  tenantId: "t",
  userId: "u",
  role: "viewer",
});

function stage(fake: FakeSupabase) {
  const clock = { now: 1000 };
  const environment: Record<string, string> = {
    SUPABASE_URL: fake.url,
    SUPABASE_ANON_KEY: "anon-key",
  };
  const settings = {
    ...fromEnvironment((name) => environment[name]),
    now: () => clock.now,
  };
  return { clock, it: rateLimiter(settings) };
}

const asked = (fake: FakeSupabase) => fake.seen.filter(({ path }) => path.endsWith("/knock")).length;

Deno.test("twenty requests ask the database once, side by side too", async () => {
  await using fake = new FakeSupabase();
  fake.on("knock", { status: 200, body: { granted: 20, seconds: 60 } });
  const { it } = stage(fake);

  await Promise.all(Array.from({ length: 20 }, () => it.pass(member("a"))));
  deepStrictEqual(1, asked(fake));

  await it.pass(member("a"));
  await it.pass(member("b"));
  deepStrictEqual(3, asked(fake));
});

Deno.test("who has none left is told for how long, and is not asked about again until then", async () => {
  await using fake = new FakeSupabase();
  fake.on("knock", { status: 200, body: { granted: 0, seconds: 42 } });
  const { it, clock } = stage(fake);

  for (const left of ["42", "42", "2"]) {
    if (left === "2") clock.now += 40;
    await rejects(it.pass(member("a")), (error: Refusal) => {
      deepStrictEqual([429, left], [
        error.status,
        error.headers["retry-after"],
      ]);
      return true;
    });
  }
  deepStrictEqual(1, asked(fake));

  fake.on("knock", { status: 200, body: { granted: 1, seconds: 60 } });
  clock.now += 3;
  await it.pass(member("a"));
});

Deno.test("what the database says of the caller is what the caller is told, and is asked again", async () => {
  await using fake = new FakeSupabase();
  fake.on("knock", {
    status: 403,
    body: {
      code: "MEMBERSHIP_MISSING",
      message: "no",
      details: null,
      hint: null,
    },
  });
  const { it } = stage(fake);

  for (let n = 0; n < 2; n++) {
    await rejects(
      it.pass(member("a")),
      (error: Refusal) => error.status === 403,
    );
  }
  deepStrictEqual(2, asked(fake));
});

const from = (address: string) =>
  new Request("http://x/", { headers: { "x-forwarded-for": `made up, ${address}` } });

Deno.test("a stranger is counted by where he comes from, and no member is", async () => {
  await using fake = new FakeSupabase();
  fake.on("knock_outside", { status: 200, body: { granted: 20, seconds: 60 } });
  const { it } = stage(fake);

  for (let n = 0; n < 21; n++) await it.passStranger(from("203.0.113.9"), { "x-request-id": "r" });
  await it.passStranger(from("203.0.113.10"), {});

  deepStrictEqual([3, 0, "r"], [
    fake.count("knock_outside"),
    fake.count("knock"),
    fake.seen[0]?.headers.get("x-request-id"),
  ]);
});

Deno.test("a place that is shut is known to be, and nobody is asked", async () => {
  await using fake = new FakeSupabase();
  fake.on("knock_outside", { status: 200, body: { granted: 0, seconds: 42 } });
  const { it, clock } = stage(fake);
  const shut = (error: Refusal) => error.status === 429 && error.headers["retry-after"] === "42";

  await it.refuseShut(from("203.0.113.9"));
  await rejects(it.passStranger(from("203.0.113.9"), {}), shut);
  await rejects(it.refuseShut(from("203.0.113.9")), shut);
  await it.refuseShut(from("203.0.113.10"));
  clock.now += 43;
  await it.refuseShut(from("203.0.113.9"));

  deepStrictEqual(1, fake.count("knock_outside"));
});
