import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal, someId } from "../../testing.ts";

Deno.test("a trust is made of the body", async () => {
  await using it = new Rehearsal();
  it.fake.on("create_trust", { status: 201, body: { trust_id: someId } });
  const body = { name: "ci", repository: "acme/etl", ref: "refs/heads/main", role: "operator" };

  const response = await it.ask("POST", "/trusts", { body });

  deepStrictEqual([201, { trust_id: someId }], [response.status, await response.json()]);
  deepStrictEqual(body, it.fake.last("create_trust").json);
});
