import { deepStrictEqual } from "node:assert/strict";
import { attemptToken, Rehearsal, someId } from "../../testing.ts";

Deno.test("a file of an attempt gets a URL to be PUT to", async () => {
  await using it = new Rehearsal();
  const reserved = { artifact_id: someId, version: 3, bucket: "artifacts", path: "t/x", size: 5 };
  it.fake.on("attempt_artifact", { status: 201, body: reserved });
  const body = { name: "a", kind: "file", size: 5, sha256: "0".repeat(64) };

  const response = await it.ask("POST", "/attempts/7/artifacts", { body, bearer: attemptToken });

  const upload_url = "https://control.example/storage/v1/object/upload/sign/artifacts/t/x?token=up";
  const resumable = {
    url: "https://control.example/storage/v1/upload/resumable/sign",
    headers: { apikey: "anon-key", "x-signature": "up" },
    metadata: { bucketName: "artifacts", objectName: "t/x" },
  };
  const expected = { artifact_id: someId, version: 3, size: 5, upload_url, resumable };
  deepStrictEqual([201, expected], [response.status, await response.json()]);
  deepStrictEqual({ ...body, token: attemptToken }, it.fake.last("attempt_artifact").json);
});
