import { deepStrictEqual } from "node:assert/strict";
import { Rehearsal } from "../../testing.ts";

Deno.test("a network goes to allow_network as it came", async () => {
  await using it = new Rehearsal();
  it.fake.on("allow_network", { status: 201, body: { network_id: 3, cidr: "10.1.0.0/16" } });

  const response = await it.ask("POST", "/callback-networks", { body: { cidr: "10.1.0.0/16" } });

  deepStrictEqual([201, { network_id: 3, cidr: "10.1.0.0/16" }], [response.status, await response.json()]);
  deepStrictEqual({ cidr: "10.1.0.0/16" }, it.fake.last("allow_network").json);
});
