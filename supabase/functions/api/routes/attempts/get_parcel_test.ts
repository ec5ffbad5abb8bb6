import { deepStrictEqual } from "node:assert/strict";
import { attemptToken, Rehearsal } from "../../testing.ts";

const place = { bucket: "parcels", path: "t/7/mark0000.kit.0", filename: "mark0000.kit.0" };

Deno.test("an attempt is sent to the bytes of its parcel", async () => {
  await using it = new Rehearsal();
  it.fake.on("attempt_parcel", { status: 200, body: place });

  const response = await it.ask("GET", "/attempts/7/parcels/mark0000.kit.0", { bearer: attemptToken });

  deepStrictEqual(
    [
      302,
      "https://control.example/storage/v1/object/sign/parcels/t/7/mark0000.kit.0?token=down&download=mark0000.kit.0",
    ],
    [response.status, response.headers.get("location")],
  );
});
