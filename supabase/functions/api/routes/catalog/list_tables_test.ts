import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("tables come in pages of the view assets", async () => {
  await using it = new Rehearsal();
  it.fake.on("assets", { status: 200, body: [{ name: "a" }, { name: "b" }] });

  const full = await (await it.ask("GET", "/catalog/tables?limit=2&cursor=4")).json();
  const { method, path } = it.fake.last("assets");
  const last = await (await it.ask("GET", "/catalog/tables?limit=3")).json();

  deepStrictEqual({ items: [{ name: "a" }, { name: "b" }], next: "6" }, full);
  strictEqual(null, last.next);
  strictEqual("GET", method);
  deepStrictEqual(
    ["2", "4"],
    ["limit", "offset"].map((name) => new URL(path, "http://x").searchParams.get(name)),
  );
});

Deno.test("tables of a target are those of the view target_tables that are still there", async () => {
  await using it = new Rehearsal();
  it.fake.on("target_tables", { status: 200, body: [{ name: "a" }] });

  const answer = await (await it.ask("GET", "/catalog/tables?target=shop")).json();
  const asked = new URL(it.fake.last("target_tables").path, "http://x").searchParams;

  deepStrictEqual({ items: [{ name: "a" }], next: null }, answer);
  deepStrictEqual(["eq.shop", "is.null"], [asked.get("target"), asked.get("gone_at")]);
});

Deno.test("what the database refuses is passed on", async () => {
  await using it = new Rehearsal();

  strictEqual(404, (await it.ask("GET", "/catalog/tables")).status);
});
