import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { attemptToken, Rehearsal } from "../../testing.ts";

const place = { bucket: "parcels", path: "t/7/mark0000.kit.0", filename: "mark0000.kit.0" };

Deno.test("a parcel gets a URL to be PUT to, again if need be", async () => {
  await using it = new Rehearsal();
  it.fake.on("attempt_parcel", { status: 200, body: place });

  const body = { name: "mark0000.kit.0" };
  const response = await it.ask("POST", "/attempts/7/parcels", { body, bearer: attemptToken });

  const upload_url =
    "https://control.example/storage/v1/object/upload/sign/parcels/t/7/mark0000.kit.0?token=up";
  deepStrictEqual([201, { upload_url }], [response.status, await response.json()]);
  deepStrictEqual({ token: attemptToken, name: "mark0000.kit.0" }, it.fake.last("attempt_parcel").json);
  strictEqual("true", it.fake.last("mark0000.kit.0").headers.get("x-upsert"));
});
