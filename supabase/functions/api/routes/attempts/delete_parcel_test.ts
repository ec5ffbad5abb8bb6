import { deepStrictEqual } from "node:assert/strict";
import { attemptToken, Rehearsal } from "../../testing.ts";

const place = { bucket: "parcels", path: "t/7/mark0000.kit.0", filename: "mark0000.kit.0" };

Deno.test("a parcel is removed once, and removing it again is no error", async () => {
  await using it = new Rehearsal();
  it.fake.on("attempt_parcel", { status: 200, body: place });
  it.fake.objects.set("parcels/t/7/mark0000.kit.0", new Uint8Array(3));

  const first = await it.ask("DELETE", "/attempts/7/parcels/mark0000.kit.0", { bearer: attemptToken });
  const second = await it.ask("DELETE", "/attempts/7/parcels/mark0000.kit.0", { bearer: attemptToken });

  deepStrictEqual([204, 204, 0], [first.status, second.status, it.fake.objects.size]);
});

Deno.test("a token opens the parcels of its own attempt only", async () => {
  await using it = new Rehearsal();

  for (const method of ["GET", "DELETE"]) {
    const response = await it.ask(method, "/attempts/8/parcels/mark0000.kit.0", { bearer: attemptToken });
    deepStrictEqual([401, 0], [response.status, it.fake.seen.length]);
  }
});
