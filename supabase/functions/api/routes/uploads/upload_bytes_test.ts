import { deepStrictEqual } from "node:assert/strict";
import { checkToken, Rehearsal } from "../../testing.ts";

Deno.test("the check of an upload is sent to its bytes", async () => {
  await using it = new Rehearsal();
  it.fake.on("check_bytes", { status: 200, body: { bucket: "artifacts", path: "t/x" } });

  const response = await it.ask("GET", "/uploads/bytes", { bearer: checkToken });

  const location =
    "https://control.example/storage/v1/object/sign/artifacts/t/x?token=down&download=artifact";
  deepStrictEqual([302, location], [response.status, response.headers.get("location")]);
  deepStrictEqual({ token: checkToken }, it.fake.last("check_bytes").json);
});
