import { strictEqual, throws } from "node:assert/strict";
import { readParameter } from "./parameter.ts";
import { Schema } from "./schema.ts";

const good: [Schema, string, string][] = [
  [{ type: "integer" }, "9223372036854775807", "9223372036854775807"],
  [{ type: "integer" }, "007", "7"],
  [{ type: "integer" }, "-1", "-1"],
  [{ type: "integer", minimum: 1, maximum: 1000 }, "1000", "1000"],
  [{ type: "boolean" }, "true", "true"],
  [{ type: "string" }, 'a"b', '"a\\"b"'],
  [{ type: "string", enum: ["a", "b"] }, "b", '"b"'],
  [
    { type: "string", format: "uuid" },
    "22222222-2222-4222-8222-222222222222",
    '"22222222-2222-4222-8222-222222222222"',
  ],
  [{ type: "string", format: "date-time" }, "2026-01-01T00:00:00Z", '"2026-01-01T00:00:00Z"'],
  [{ type: "string", format: "date-time" }, "2026-01-01 00:00:00.5+02", '"2026-01-01 00:00:00.5+02"'],
  [{ type: "string", format: "date-time" }, "2024-02-29", '"2024-02-29"'],
  [{ type: "array", items: { type: "string" } }, "a, b", '["a","b"]'],
];

for (const [schema, text, expected] of good) {
  Deno.test(`${JSON.stringify(schema)} reads ${text}`, () => {
    strictEqual(expected, readParameter("x", schema, text));
  });
}

const bad: [Schema, string][] = [
  [{ type: "integer" }, "abc"],
  [{ type: "integer" }, "1.5"],
  [{ type: "integer" }, "1e3"],
  [{ type: "integer" }, " 1"],
  [{ type: "integer" }, "9223372036854775808"],
  [{ type: "integer" }, "1}, {"],
  [{ type: "integer", minimum: 1, maximum: 1000 }, "0"],
  [{ type: "integer", minimum: 1, maximum: 1000 }, "1001"],
  [{ type: "boolean" }, "yes"],
  [{ type: "string", enum: ["a", "b"] }, "c"],
  [{ type: "string", format: "uuid" }, "22222222-2222-4222-8222-22222222222"],
  [{ type: "string", format: "date-time" }, "yesterday"],
  [{ type: "string", format: "date-time" }, "1"],
  [{ type: "string", format: "date-time" }, "2026-02-30"],
  [{ type: "string", format: "date-time" }, "2026-01-01T00:00:00+17:52"],
  [{ type: "string", format: "date-time" }, "2026-01-01T25:00:00Z"],
  [{ type: "string" }, "a\0b"],
];

for (const [schema, text] of bad) {
  Deno.test(`${JSON.stringify(schema)} refuses ${JSON.stringify(text)}, naming the field`, () => {
    throws(() => readParameter("x", schema, text), (error: Error & { body?: string }) => {
      strictEqual("$.x", JSON.parse(error.body ?? "{}").details);
      return error.message.startsWith("FIELD_INVALID");
    });
  });
}
