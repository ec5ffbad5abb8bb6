import { deepStrictEqual } from "node:assert/strict";
import { Lru } from "./lru.ts";

Deno.test("the entry that was used longest ago is forgotten first", () => {
  const lru = new Lru<string, number>(2);
  lru.set("a", 1);
  lru.set("b", 2);
  lru.get("a");
  lru.set("c", 3);

  deepStrictEqual([1, undefined, 3, 2], [lru.get("a"), lru.get("b"), lru.get("c"), lru.size]);
});
