import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { depth, elements, extended, isUnkeepable, object } from "./json_text.ts";

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

Deno.test("an array falls into its elements, each as it was written", () => {
  deepStrictEqual(
    ['{"a": [1, 2], "b": "],{"}', "1.10", '"\\",["', "[]", "null"],
    elements(' [{"a": [1, 2], "b": "],{"}, 1.10 ,"\\",[",[],null]'),
  );
  deepStrictEqual([], elements("[ ]"));
});

Deno.test("NUL and half a pair are what Postgres keeps nowhere; a whole pair is text", () => {
  deepStrictEqual(
    [true, true, true, false, false],
    ["a\0", { "\ud800": 1 }, [{ a: ["\udc00x"] }], "\ud83d\ude80", { a: "\\u0000", b: null }].map(
      isUnkeepable,
    ),
  );
});
