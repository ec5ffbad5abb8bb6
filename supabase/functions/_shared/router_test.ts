import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { Refusal } from "./errors.ts";
import { Method, Route } from "./route.ts";
import { router } from "./router.ts";

const route = (method: Method, path: `/${string}`): Route => ({
  method,
  path,
  access: "public",
  name: `${method} ${path}`,
  summary: "",
  answers: {},
  handle: () => Promise.resolve(new Response()),
});

const way = router([
  route("POST", "/jobs/run"),
  route("GET", "/jobs/{id}"),
  route("PATCH", "/jobs/{id}"),
  route("GET", "/jobs/{id}/tasks/{key}"),
]);

Deno.test("a path that is written out beats one with a parameter", () => {
  strictEqual("POST /jobs/run", way.find("POST", "/jobs/run").route.name);
  throws(() => way.find("GET", "/jobs/run"), /METHOD_NOT_ALLOWED/);
});

Deno.test("parameters are the decoded segments", () => {
  deepStrictEqual({ id: "1", key: "a/b ü" }, { ...way.find("GET", "/jobs/1/tasks/a%2Fb%20%C3%BC").values });
});

Deno.test("HEAD finds what GET finds", () => {
  strictEqual("GET /jobs/{id}", way.find("HEAD", "/jobs/1").route.name);
});

Deno.test("a wrong method is told the right ones", () => {
  throws(() => way.find("PUT", "/jobs/1"), (error: Refusal) => {
    deepStrictEqual([405, "GET, PATCH, HEAD, OPTIONS"], [error.status, error.headers.allow]);
    return true;
  });
});

for (
  const path of [
    "/",
    "/jobs",
    "/jobs//",
    "/jobs/1/",
    "/jobs/1/tasks",
    "/jobs/1/tasks/",
    "/constructor",
    "/__proto__",
  ]
) {
  Deno.test(`there is no route ${path}`, () => {
    throws(() => way.find("GET", path), /ROUTE_NOT_FOUND/);
  });
}

Deno.test("a broken percent escape names its parameter", () => {
  throws(() => way.find("GET", "/jobs/%zz"), /FIELD_INVALID/);
});

Deno.test("the same verb twice is a mistake of ours", () => {
  throws(() => router([route("GET", "/a"), route("GET", "/a")]), /two routes/);
});
