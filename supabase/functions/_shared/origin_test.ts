import { deepStrictEqual } from "node:assert/strict";
import { origin } from "./origin.ts";

const request = new Request("http://edge.local/", {
  headers: { "x-forwarded-for": "203.0.113.9", "user-agent": "curl", "x-edge-key": "forged", cookie: "no" },
});

Deno.test("what the front of the function wrote is handed on, with the key", async () => {
  deepStrictEqual({
    "user-agent": "curl",
    // scripts/stack derives the same, and tells the database its hash
    "x-edge-key": "1fbe60df51c925e93b2c4ab3f36f3dc86564b3a8b5190485b38d4ca052f7ed32",
    "x-edge-x-forwarded-for": "203.0.113.9",
  }, await origin("test-master-key").of(request));
});

Deno.test("without a master key nothing is handed on that would not be believed", async () => {
  deepStrictEqual({ "user-agent": "curl" }, await origin(undefined).of(request));
});
