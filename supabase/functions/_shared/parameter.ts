import { refuse } from "./errors.ts";
import { JsonText } from "./json_text.ts";
import { Schema } from "./schema.ts";

const int8 = { smallest: -(2n ** 63n), largest: 2n ** 63n - 1n };
const iso8601 =
  /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-](0\d|1[0-5])(:?[0-5]\d)?)?)?$/i;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Reads one value of the path or the query as its schema says, and writes it as JSON for Postgres.
 *
 * @throws Refusal FIELD_INVALID, whose details name the parameter as a path
 */
export function readParameter(name: string, schema: Schema, text: string): JsonText {
  const wrong = (expected: string) =>
    refuse("FIELD_INVALID", { details: `$.${name}`, message: `${name} must be ${expected}.` });
  switch (schema.type) {
    case "integer": {
      const { minimum, maximum } = schema;
      const range = minimum !== undefined && maximum !== undefined ? ` from ${minimum} to ${maximum}` : "";
      if (!/^-?\d{1,19}$/.test(text)) throw wrong(`an integer${range}`);
      const value = BigInt(text);
      if (value < int8.smallest || value > int8.largest) throw wrong("an integer of 64 bits");
      if ((minimum !== undefined && value < minimum) || (maximum !== undefined && value > maximum)) {
        throw wrong(`an integer${range}`);
      }
      return value.toString();
    }
    case "boolean":
      if (text !== "true" && text !== "false") throw wrong("true or false");
      return text;
    case "array":
      return `[${
        text.split(",").map((item) => readParameter(name, schema.items ?? {}, item.trim())).join(",")
      }]`;
    default:
      if (schema.enum !== undefined && !schema.enum.includes(text)) {
        throw wrong(`one of ${schema.enum.join(", ")}`);
      }
      if (schema.format === "uuid" && !uuid.test(text)) throw wrong("a UUID");
      if (schema.format === "date-time" && !isTime(text)) {
        throw wrong("an ISO 8601 date and time");
      }
      if (text.includes("\0")) throw wrong("text without NUL");
      return JSON.stringify(text);
  }
}

/** Date.parse alone takes "1" and the 30th of February, which Postgres refuses in words of its own. */
function isTime(text: string): boolean {
  if (!iso8601.test(text) || Number.isNaN(Date.parse(text))) return false;
  const day = text.slice(0, 10);
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day) && !day.startsWith("0000");
}
