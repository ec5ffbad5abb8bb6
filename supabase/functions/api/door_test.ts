import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { attemptToken, checkToken, Rehearsal, someId, sweepToken, token } from "./testing.ts";
import { openapi } from "./openapi.ts";
import { identity } from "../_shared/identity.ts";
import { rateLimiter } from "../_shared/rate_limit.ts";
import { door } from "./door.ts";
import { routes } from "./routes/table.ts";

/** An address of the route, with ids that fit. */
function address(path: string): string {
  return path.replace("{layer}", "gold").replace(
    /\{(\w+)\}/g,
    (_, name) =>
      ["artifact_id", "endpoint_id", "token_id", "trust_id", "invitation_id"].includes(name) ? someId : "7",
  );
}

for (const { method, path, access } of routes) {
  if (access === "public") continue;

  Deno.test(`${method} ${path} refuses a request without a token, unheard`, async () => {
    await using it = new Rehearsal();

    const response = await it.ask(method, address(path), { bearer: null });

    deepStrictEqual([401, "TOKEN_MISSING", 0], [
      response.status,
      (await response.json()).code,
      it.fake.seen.length,
    ]);
    ok(response.headers.get("www-authenticate")?.startsWith("Bearer"));
  });

  Deno.test(`${method} ${path} refuses the other kind of token`, async () => {
    await using it = new Rehearsal();
    const bearer = access === "member" ? attemptToken : await token();

    const response = await it.ask(method, address(path), { bearer });

    deepStrictEqual([401, 0], [response.status, it.fake.seen.length]);
  });

  Deno.test(`${method} ${path} passes the database's refusal on as it is`, async () => {
    await using it = new Rehearsal();
    const body = { code: "SOME_CODE", message: "m", details: "d", hint: null };
    for (
      const name of [
        ...routes.map((route) => route.name),
        "attempt_report",
        "attempt_artifact",
        "attempt_parcel",
        "assets",
      ]
    ) {
      it.fake.on(name, { status: 409, body });
    }
    for (
      const name of ["check_bytes", "lineage_ingest", "artifact_download", "attempt_input", "run_events"]
    ) {
      it.fake.on(name, { status: 409, body });
    }
    const bearer = {
      attempt: attemptToken,
      check: checkToken,
      sweep: sweepToken,
      member: await token({ role: "admin" }),
    }[access];
    const kind = routes.find((route) => route.method === method && route.path === path)?.body?.kind;
    const sent = kind === undefined ? {} : { body: kind === "array" ? [] : {} };

    const response = await it.ask(method, `${address(path)}?nodeId=dataset:a:b`, { bearer, ...sent });

    deepStrictEqual([409, body], [response.status, await response.json()]);
  });
}

Deno.test("a verb that is to go says so in every answer, and no other verb does", async () => {
  const retires = { since: "2027-01-31", sunset: "2027-09-30", instead: "GET /v2/slo" };
  const table = routes.map((route) => route.name === "slo" ? { ...route, retires } : route);
  await using it = new Rehearsal({}, table);
  it.fake.on("slo", { status: 200, body: {} });
  it.fake.on("health", { status: 200, body: {} });

  const answers = [await it.ask("GET", "/slo"), await it.ask("GET", "/slo", { bearer: null })];
  const other = await it.ask("GET", "/health");
  const nowhere = await it.ask("GET", "/no-such-place");

  for (const { headers } of answers) {
    strictEqual("@1801353600", headers.get("deprecation"));
    strictEqual("Thu, 30 Sep 2027 00:00:00 GMT", headers.get("sunset"));
    ok(headers.get("link")?.endsWith('/openapi.json>; rel="deprecation"; type="application/json"'));
  }
  deepStrictEqual([200, 401], answers.map((answer) => answer.status));
  deepStrictEqual([null, null], [other.headers.get("sunset"), nowhere.headers.get("sunset")]);
  const document = JSON.stringify(openapi(table, ""));
  ok(document.includes('"deprecated":true,"x-sunset":"gone from 2027-09-30 on; instead: GET /v2/slo"'));
  for (const answer of [...answers, other, nowhere]) await answer.body?.cancel();
});

Deno.test("a verb that is to go stays for half a year, and says what takes its place", () => {
  for (const { retires } of routes) {
    if (retires === undefined) continue;
    ok(Date.parse(retires.sunset) - Date.parse(retires.since) >= 180 * 86_400_000);
    ok(retires.instead.length > 0);
  }
});

Deno.test("every verb has its own file, its place in the table, and its test beside it", async () => {
  const files: string[] = [];
  const walk = async (folder: URL): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory) await walk(new URL(`${name}/`, folder));
      else files.push(new URL(name, folder).pathname);
    }
  };
  await walk(new URL("routes/", import.meta.url));
  const texts = await Promise.all(files.map(async (file) => [file, await Deno.readTextFile(file)] as const));
  const verbs = texts.filter(([, text]) => text.includes("export const route:")).map(([file]) => file);

  strictEqual(routes.length, verbs.length);
  deepStrictEqual([], verbs.filter((file) => !files.includes(file.replace(/\.ts$/, "_test.ts"))));
});

Deno.test("every answer carries a request id, nosniff and no-store, and may be read by any origin", async () => {
  await using it = new Rehearsal();

  const { headers } = await it.ask("GET", "/nowhere");

  deepStrictEqual(
    ["nosniff", "no-store", "*"],
    ["x-content-type-options", "cache-control", "access-control-allow-origin"].map((name) =>
      headers.get(name)
    ),
  );
  ok(headers.get("x-request-id"));
  strictEqual(null, headers.get("access-control-allow-credentials"));
});

Deno.test("the caller's request id and trace reach the database", async () => {
  await using it = new Rehearsal();
  it.fake.on("get_run", { status: 200, body: {} });
  const headers = { "x-request-id": "my-id", traceparent: "00-1-2-01" };

  const response = await it.ask("GET", "/runs/1", { headers });

  const seen = it.fake.last("get_run").headers;
  deepStrictEqual(["my-id", "my-id", "00-1-2-01"], [
    response.headers.get("x-request-id"),
    seen.get("x-request-id"),
    seen.get("traceparent"),
  ]);
});

Deno.test("a request id that is no id is replaced", async () => {
  await using it = new Rehearsal();

  const response = await it.ask("GET", "/nowhere", { headers: { "x-request-id": 'x"}{' } });

  ok(/^[\w-]{36}$/.test(response.headers.get("x-request-id") ?? ""));
});

for (const path of ["/api/v1/health", "/api/v1/health/", "/functions/v1/api/v1/health"]) {
  Deno.test(`${path} is the same route`, async () => {
    await using it = new Rehearsal();
    it.fake.on("health", { status: 200, body: {} });

    strictEqual(200, (await it.door(new Request(`http://edge.local${path}`))).status);
  });
}

for (
  const path of ["/", "/api", "/api/v1", "/api/v1/", "/api/v2/health", "/other/v1/health", "/api/v1//health"]
) {
  Deno.test(`${path} is no route`, async () => {
    await using it = new Rehearsal();

    const response = await it.door(new Request(`http://edge.local${path}`));

    deepStrictEqual([404, "ROUTE_NOT_FOUND"], [response.status, (await response.json()).code]);
  });
}

Deno.test("a wrong method is 405 with Allow", async () => {
  await using it = new Rehearsal();

  const response = await it.ask("PUT", "/jobs/run");

  deepStrictEqual([405, "POST, OPTIONS"], [response.status, response.headers.get("allow")]);
});

Deno.test("HEAD is GET without a body", async () => {
  await using it = new Rehearsal();
  it.fake.on("get_run", { status: 200, body: { run_id: 1 } });

  const response = await it.ask("HEAD", "/runs/1");

  deepStrictEqual([200, ""], [response.status, await response.text()]);
});

Deno.test("a browser's preflight is answered without a token", async () => {
  await using it = new Rehearsal();
  const headers = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,x-mine",
  };

  const response = await it.ask("OPTIONS", "/jobs/run", { bearer: null, headers });

  deepStrictEqual([204, "POST, OPTIONS", "authorization,x-mine"], [
    response.status,
    response.headers.get("access-control-allow-methods"),
    response.headers.get("access-control-allow-headers"),
  ]);
});

for (
  const path of [
    "/runs/abc",
    "/runs/1.5",
    "/runs/99999999999999999999",
    "/artifacts/1",
    "/runs?limit=0",
    "/runs?limit=x",
  ]
) {
  Deno.test(`${path} is FIELD_INVALID before the database is asked`, async () => {
    await using it = new Rehearsal();

    const response = await it.ask("GET", path);

    deepStrictEqual([400, "FIELD_INVALID", 0], [
      response.status,
      (await response.json()).code,
      it.fake.seen.length,
    ]);
  });
}

Deno.test("a body of 2 MiB is too large before the database is asked", async () => {
  await using it = new Rehearsal();

  const response = await it.ask("POST", "/jobs/run", { body: { spec: "x".repeat(2 * 1024 * 1024) } });

  deepStrictEqual([413, "BODY_TOO_LARGE", 0], [
    response.status,
    (await response.json()).code,
    it.fake.seen.length,
  ]);
});

Deno.test("a fault of ours is a 500 in the one shape, and tells nothing of itself", async () => {
  await using it = new Rehearsal();
  it.fake.on("run_job", { status: 202, body: {} });
  it.fake.on("run_lineage", () => new Response("no JSON", { status: 200 }));
  const log = console.error;
  const logged: string[] = [];
  console.error = (text: string) => logged.push(text);
  try {
    const response = await it.ask("GET", "/runs/1/lineage?format=dot", { headers: { "x-request-id": "r1" } });

    const body = await response.json();
    deepStrictEqual([500, "INTERNAL_ERROR", "request r1"], [response.status, body.code, body.details]);
    strictEqual("r1", JSON.parse(logged[0] ?? "{}").request_id);
    ok(!logged.join().includes("Bearer"));
  } finally {
    console.error = log;
  }
});

/** Requests at a door that counts. */
function counting(it: Rehearsal) {
  const knock = door(routes, it.settings, identity(it.settings), rateLimiter(it.settings));
  return async (method: string, path: string, bearer?: string, body?: unknown) => {
    const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
    const given = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    return await knock(new Request(`http://edge.local/api/v1${path}`, given));
  };
}

for (
  const [method, path, body] of [
    ["POST", "/tokens/oidc", { token: "x", tenant: "acme" }],
    ["POST", "/invitations/accept", { token: "x" }],
    ["GET", "/health", undefined],
  ] as const
) {
  Deno.test(`${method} ${path} is open to strangers as long as there is room for them`, async () => {
    await using it = new Rehearsal();
    it.fake.on("knock_outside", { status: 200, body: { granted: 0, seconds: 7 } });

    const response = await counting(it)(method, path, undefined, body);

    deepStrictEqual([429, "7", "RATE_LIMITED"], [
      response.status,
      response.headers.get("retry-after"),
      (await response.json()).code,
    ]);
    deepStrictEqual(["/rest/v1/rpc/knock_outside"], it.fake.seen.map(({ path }) => path));
  });
}

Deno.test("who guesses at tokens is told to wait, and then is not heard of any more", async () => {
  await using it = new Rehearsal();
  it.fake.on("knock_outside", { status: 200, body: { granted: 2, seconds: 30 } });
  const body = { code: "TOKEN_INVALID", message: "", details: null, hint: null };
  it.fake.on("exchange_token", { status: 401, body });
  const knock = counting(it);
  const guess = (n: number) => knock("GET", "/runs", `cr_${"a".repeat(30)}${n}`);

  deepStrictEqual([401, 401], [(await guess(1)).status, (await guess(2)).status]);
  it.fake.on("knock_outside", { status: 200, body: { granted: 0, seconds: 30 } });
  deepStrictEqual([429, 429], [(await guess(3)).status, (await guess(4)).status]);
  deepStrictEqual([3, 2], [it.fake.count("exchange_token"), it.fake.count("knock_outside")]);
  strictEqual(429, (await knock("POST", "/attempts/7/report", attemptToken, {})).status);
});

Deno.test("a member is no stranger, wherever he comes from", async () => {
  await using it = new Rehearsal();
  it.fake.on("knock_outside", { status: 200, body: { granted: 0, seconds: 30 } });
  it.fake.on("knock", { status: 200, body: { granted: 20, seconds: 30 } });
  it.fake.on("list_runs", { status: 200, body: { items: [], next: null } });
  const knock = counting(it);

  deepStrictEqual([429, 200], [
    (await knock("GET", "/runs", "no token")).status,
    (await knock("GET", "/runs", await token())).status,
  ]);
});
