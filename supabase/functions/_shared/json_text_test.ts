import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { depth, extended, object } from "./json_text.ts";

Deno.test("an object is made of parts that are JSON already, without those that are undefined", () => {
  strictEqual(
    '{"run_id":9007199254740993,"name":"a\\"b"}',
    object({ run_id: "9007199254740993", x: undefined, name: '"a\\"b"' }),
  );
});

Deno.test("parts are added at the end, where they win", () => {
  deepStrictEqual(
    { run_id: 2, name: "x" },
    JSON.parse(extended(' { "run_id": 1, "name": "x" } ', { run_id: "2" })),
  );
});

Deno.test("an empty object takes parts without a comma too many", () => {
  strictEqual('{"run_id":2}', extended("{ }", { run_id: "2" }));
});

Deno.test("nothing added leaves the text as it was", () => {
  strictEqual(' {"a":1.10} ', extended(' {"a":1.10} ', { b: undefined }));
});

Deno.test("depth counts what nests, not what is quoted", () => {
  deepStrictEqual([0, 1, 3, 2, 1], ["1", "[]", "[[{}],[]]", '{"[[":[]}', '["\\"[["]'].map(depth));
});
