import { deepStrictEqual } from "node:assert/strict";
import { attemptToken, Rehearsal } from "../../testing.ts";

Deno.test("an attempt is sent to the bytes of its input", async () => {
  await using it = new Rehearsal();
  it.fake.on("attempt_input", {
    status: 200,
    body: { bucket: "artifacts", path: "t/x", filename: "a.csv", size: 5 },
  });

  const response = await it.ask("GET", "/attempts/7/inputs/fl%C3%BCge%2F1", { bearer: attemptToken });

  const location = "https://control.example/storage/v1/object/sign/artifacts/t/x?token=down&download=a.csv";
  deepStrictEqual([302, location], [response.status, response.headers.get("location")]);
  deepStrictEqual({ token: attemptToken, name: "flüge/1" }, it.fake.last("attempt_input").json);
});
