import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import { Rehearsal, someId } from "../../testing.ts";

const reserved = {
  artifact_id: someId,
  version: 1,
  bucket: "artifacts",
  path: "t/ä b",
  size: 5,
  state: "PENDING",
};
const seen = { artifact_id: someId, version: 1, size: 5, state: "PENDING" };

Deno.test("a new artifact comes with an absolute URL to PUT its bytes to; its place stays inside", async () => {
  await using it = new Rehearsal();
  it.fake.on("create_artifact", { status: 201, body: reserved });
  const body = { name: "a", kind: "file", size: 5 };

  const response = await it.ask("POST", "/artifacts", { body });

  const upload_url = "https://control.example/storage/v1/object/upload/sign/artifacts/t/%C3%A4%20b?token=up";
  const resumable = {
    url: "https://control.example/storage/v1/upload/resumable/sign",
    headers: { apikey: "anon-key", "x-signature": "up" },
    metadata: { bucketName: "artifacts", objectName: "t/ä b" },
  };
  deepStrictEqual([201, { ...seen, upload_url, resumable }], [response.status, await response.json()]);
  deepStrictEqual(body, it.fake.last("create_artifact").json);
});

for (const more of [{ size: 5 }, { content: "hello" }]) {
  Deno.test(`bytes that the tenant has are not asked for again: ${Object.keys(more)}`, async () => {
    await using it = new Rehearsal();
    it.fake.on("create_artifact", { status: 201, body: { ...reserved, state: "READY" } });

    const response = await it.ask("POST", "/artifacts", { body: { name: "a", kind: "data", ...more } });

    const { sha256: _, ...said } = await response.json();
    deepStrictEqual([201, { ...seen, state: "READY" }, 0], [response.status, said, it.fake.objects.size]);
    strictEqual(1, it.fake.seen.length);
  });
}

for (
  const [encoding, content] of [["text", "héllo"], ["base64", "aMOpbGxv"], [undefined, "héllo"]] as const
) {
  Deno.test(`inline content (${encoding}) is counted, stored and completed`, async () => {
    await using it = new Rehearsal();
    it.fake.on("create_artifact", { status: 201, body: { ...reserved, size: 6, path: "t/x" } });
    it.fake.on("complete_artifact", { status: 202, body: {} });
    const sha256 = createHash("sha256").update("héllo").digest("hex");
    const described = { name: "a", kind: "file", content_type: "text/plain" };
    const body = { ...described, content, ...(encoding === undefined ? {} : { encoding }) };

    const response = await it.ask("POST", "/artifacts", { body });

    deepStrictEqual([201, { ...seen, size: 6, sha256 }], [response.status, await response.json()]);
    deepStrictEqual({ ...described, size: 6, sha256 }, it.fake.last("create_artifact").json);
    strictEqual("héllo", Buffer.from(it.fake.objects.get("artifacts/t/x") ?? []).toString());
    deepStrictEqual({ artifact_id: someId, version: 1 }, it.fake.last("complete_artifact").json);
  });
}

const refusals: [string, unknown, number][] = [
  ["more than 1 MiB of content", { content: "x".repeat(1024 * 1024 + 1) }, 413],
  ["content that is no text", { content: 5 }, 400],
  ["content that is no base64", { content: "***", encoding: "base64" }, 400],
  ["an unknown encoding", { content: "x", encoding: "hex" }, 400],
  ["a size that does not fit", { content: "x", size: 2 }, 400],
  ["a sha256 that does not fit", { content: "x", sha256: "0".repeat(64) }, 400],
];

for (const [name, body, status] of refusals) {
  Deno.test(`refused before anything is written: ${name}`, async () => {
    await using it = new Rehearsal();

    strictEqual(status, (await it.ask("POST", "/artifacts", { body })).status);
    strictEqual(0, it.fake.seen.length);
  });
}

Deno.test("what the database refuses gets no URL", async () => {
  await using it = new Rehearsal();
  const body = { code: "ARTIFACT_TOO_LARGE", message: "", details: null, hint: null };
  it.fake.on("create_artifact", { status: 413, body });

  const response = await it.ask("POST", "/artifacts", { body: { name: "a", kind: "file", size: 62914560 } });

  deepStrictEqual([413, body, 1], [response.status, await response.json(), it.fake.seen.length]);
});

Deno.test("Storage's refusal is STORAGE_FAILED, without its words", async () => {
  await using it = new Rehearsal({ serviceKey: "wrong" });
  it.fake.on("create_artifact", { status: 201, body: reserved });

  const response = await it.ask("POST", "/artifacts", { body: { name: "a", kind: "file", size: 5 } });

  deepStrictEqual([502, "STORAGE_FAILED"], [response.status, (await response.json()).code]);
});

Deno.test("without a service key the route says what is missing", async () => {
  await using it = new Rehearsal({ serviceKey: undefined });
  it.fake.on("create_artifact", { status: 201, body: reserved });

  const response = await it.ask("POST", "/artifacts", { body: { name: "a", kind: "file", size: 5 } });

  deepStrictEqual([501, "SUPABASE_SERVICE_ROLE_KEY"], [response.status, (await response.json()).details]);
});
