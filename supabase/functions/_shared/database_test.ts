import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { Rehearsal } from "../api/testing.ts";
import { database } from "./database.ts";
import { Refusal } from "./errors.ts";

Deno.test("the caller's token and the project's key go to PostgREST, with the trace", async () => {
  await using it = new Rehearsal();
  it.fake.on("get_run", { status: 200, body: {} });

  await database(it.settings).call("get_run", "{}", "jwt", { "x-request-id": "r1" });

  const { headers, method, path } = it.fake.last("get_run");
  deepStrictEqual(["POST", "/rest/v1/rpc/get_run"], [method, path]);
  deepStrictEqual(
    ["Bearer jwt", "anon-key", "r1", "application/json"],
    ["authorization", "apikey", "x-request-id", "content-type"].map((name) => headers.get(name)),
  );
});

Deno.test("without a bearer the call is anon's", async () => {
  await using it = new Rehearsal({ anonKey: "eyJ.anon.key" });
  it.fake.on("health", { status: 200, body: {} });

  await database(it.settings).call("health", "{}");

  strictEqual("Bearer eyJ.anon.key", it.fake.last("health").headers.get("authorization"));
});

Deno.test("a publishable key is no bearer token", async () => {
  await using it = new Rehearsal({ anonKey: "sb_publishable_x" });
  it.fake.on("health", { status: 200, body: {} });

  await database(it.settings).call("health", "{}");

  strictEqual(null, it.fake.last("health").headers.get("authorization"));
});

Deno.test("PostgREST's own errors are answers", async () => {
  await using it = new Rehearsal();

  const answer = await database(it.settings).call("nothing", "{}", "jwt");

  deepStrictEqual([404, "PGRST202"], [answer.status, JSON.parse(answer.text).code]);
});

for (const code of ["40001", "40P01"]) {
  Deno.test(`${code} is tried again: it was rolled back whole`, async () => {
    await using it = new Rehearsal();
    const failures = [{ status: 500, body: { code, message: "", details: null, hint: null } }];
    it.fake.on("run_job", () => failures.pop() ?? { status: 202, body: {} });

    strictEqual(202, (await database(it.settings).call("run_job", "{}", "jwt")).status);
    strictEqual(2, it.fake.count("run_job"));
  });
}

Deno.test("it is not tried for ever", async () => {
  await using it = new Rehearsal();
  it.fake.on("run_job", { status: 500, body: { code: "40001", message: "", details: null, hint: null } });

  strictEqual(500, (await database(it.settings).call("run_job", "{}", "jwt")).status);
  strictEqual(3, it.fake.count("run_job"));
});

Deno.test("other failures are not repeated: a submission might be doubled", async () => {
  await using it = new Rehearsal();
  it.fake.on("run_job", { status: 500, body: { code: "XX000", message: "", details: null, hint: null } });

  await database(it.settings).call("run_job", "{}", "jwt");
  strictEqual(1, it.fake.count("run_job"));
});

Deno.test("an error page of something in front becomes an error of ours", async () => {
  await using it = new Rehearsal();
  it.fake.on("run_job", () => new Response("<h1>Bad Gateway</h1>", { status: 502 }));

  await rejects(database(it.settings).call("run_job", "{}", "jwt"), /UPSTREAM_UNAVAILABLE/);
});

Deno.test("a redirect is not followed: the token goes to nobody else", async () => {
  await using it = new Rehearsal();
  it.fake.on("run_job", () =>
    new Response(null, { status: 302, headers: { location: `${it.fake.url}/rest/v1/rpc/evil` } }));

  await rejects(database(it.settings).call("run_job", "{}", "jwt"), /UPSTREAM_UNAVAILABLE/);
  strictEqual(0, it.fake.count("evil"));
});

Deno.test("nobody there is UPSTREAM_UNAVAILABLE", async () => {
  const it = new Rehearsal();
  await it[Symbol.asyncDispose]();

  await rejects(database(it.settings).call("run_job", "{}", "jwt"), { status: 503 });
});

Deno.test("too slow is UPSTREAM_TIMEOUT", async () => {
  await using it = new Rehearsal({ upstreamMilliseconds: 20 });
  it.fake.on("run_job", async () => {
    await new Promise((resume) => setTimeout(resume, 60));
    return { status: 202, body: {} };
  });

  await rejects(database(it.settings).call("run_job", "{}", "jwt"), { status: 504 });
});

for (
  const [code, message, status, ours] of [
    ["57014", "canceling statement due to statement timeout", 500, "UPSTREAM_TIMEOUT"],
    ["55P03", "canceling statement due to lock timeout", 500, "UPSTREAM_TIMEOUT"],
    ["54001", "stack depth limit exceeded", 500, "BODY_INVALID"],
    ["22P05", "unsupported Unicode escape sequence", 400, "BODY_INVALID"],
    ["22P02", "invalid input syntax for type json", 400, "BODY_INVALID"],
    ["22003", "value overflows numeric format", 400, "BODY_INVALID"],
  ] as const
) {
  Deno.test(`${code} is told as ${ours}`, async () => {
    await using it = new Rehearsal();
    it.fake.on("run_job", { status, body: { code, message, details: null, hint: null } });

    await rejects(
      database(it.settings).call("run_job", "{}", "jwt"),
      (error: Refusal) => JSON.parse(error.body).code === ours,
    );
  });
}
