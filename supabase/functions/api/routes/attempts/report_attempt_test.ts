import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { attemptToken, Rehearsal } from "../../testing.ts";

Deno.test("a report reaches attempt_report as anon, with the token as its authority", async () => {
  await using it = new Rehearsal({ anonKey: "eyJ.anon.key" });
  it.fake.on("attempt_report", { status: 200, body: { accepted: true, cancel_requested: false } });
  const body = { event: "progress", percent: 40 };

  const response = await it.ask("POST", "/attempts/7/report", { body, bearer: attemptToken });

  deepStrictEqual({ accepted: true, cancel_requested: false }, await response.json());
  const { json, headers } = it.fake.last("attempt_report");
  deepStrictEqual([{ ...body, token: attemptToken }, "Bearer eyJ.anon.key"], [
    json,
    headers.get("authorization"),
  ]);
});

Deno.test("the token of the header counts, not one in the body", async () => {
  await using it = new Rehearsal();
  it.fake.on("attempt_report", { status: 200, body: {} });

  await it.ask("POST", "/attempts/7/report", {
    body: { event: "fail", token: "crat_8_1_other" },
    bearer: attemptToken,
  });

  strictEqual(attemptToken, it.fake.last("attempt_report").json.token);
});

Deno.test("a token is for its own attempt only", async () => {
  await using it = new Rehearsal();

  const response = await it.ask("POST", "/attempts/8/report", {
    body: { event: "fail" },
    bearer: attemptToken,
  });

  deepStrictEqual([401, "ATTEMPT_TOKEN_INVALID", 0], [
    response.status,
    (await response.json()).code,
    it.fake.seen.length,
  ]);
});
