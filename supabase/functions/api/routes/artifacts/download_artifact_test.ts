import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal, someId } from "../../testing.ts";

Deno.test("a download is a redirect to a signed URL with the file's name", async () => {
  await using it = new Rehearsal();
  const body = { bucket: "artifacts", path: "t/x", filename: "täble 1.csv", size: 5 };
  it.fake.on("artifact_download", { status: 200, body });

  const response = await it.ask("GET", `/artifacts/${someId}/download?version=2`);

  const location =
    "https://control.example/storage/v1/object/sign/artifacts/t/x?token=down&download=t%C3%A4ble%201.csv";
  deepStrictEqual([302, location], [response.status, response.headers.get("location")]);
  deepStrictEqual({ version: 2, artifact_id: someId }, it.fake.last("artifact_download").json);
  deepStrictEqual({ expiresIn: 300 }, it.fake.last("x").json);
});

Deno.test("what the database refuses is not signed", async () => {
  await using it = new Rehearsal();
  const body = { code: "ARTIFACT_NOT_FOUND", message: "", details: null, hint: null };
  it.fake.on("artifact_download", { status: 404, body });

  const response = await it.ask("GET", `/artifacts/${someId}/download`);

  deepStrictEqual([404, body, 1], [response.status, await response.json(), it.fake.seen.length]);
});
