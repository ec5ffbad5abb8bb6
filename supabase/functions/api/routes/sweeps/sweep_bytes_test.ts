import { deepStrictEqual } from "node:assert/strict";
import { checkToken, Rehearsal, sweepToken } from "../../testing.ts";

Deno.test("what the sweep has claimed is removed, bucket by bucket; what is gone already is no trouble", async () => {
  await using it = new Rehearsal();
  const items = [
    { bucket: "artifacts", path: "t/a" },
    { bucket: "parcels", path: "t/7/x" },
    { bucket: "artifacts", path: "t/gone" },
  ];
  it.fake.on("sweep_bytes", { status: 200, body: { items } });
  for (const place of ["artifacts/t/a", "artifacts/t/b", "parcels/t/7/x"]) {
    it.fake.objects.set(place, new Uint8Array());
  }

  const response = await it.ask("DELETE", "/sweeps/bytes", { bearer: sweepToken });

  deepStrictEqual([200, { removed: 2 }], [response.status, await response.json()]);
  deepStrictEqual(["artifacts/t/b"], [...it.fake.objects.keys()]);
  deepStrictEqual({ token: sweepToken }, it.fake.last("sweep_bytes").json);
});

Deno.test("Storage's refusal is said, so that nothing is taken for removed", async () => {
  await using it = new Rehearsal({ serviceKey: "wrong" });
  it.fake.on("sweep_bytes", { status: 200, body: { items: [{ bucket: "artifacts", path: "t/a" }] } });

  const response = await it.ask("DELETE", "/sweeps/bytes", { bearer: sweepToken });

  deepStrictEqual([502, "STORAGE_FAILED"], [response.status, (await response.json()).code]);
});

for (const bearer of [undefined, checkToken]) {
  Deno.test(`no sweep: ${bearer ?? "a member's token"}`, async () => {
    await using it = new Rehearsal();

    const response = await it.ask("DELETE", "/sweeps/bytes", bearer === undefined ? {} : { bearer });

    deepStrictEqual([401, "SWEEP_TOKEN_INVALID"], [response.status, (await response.json()).code]);
  });
}
