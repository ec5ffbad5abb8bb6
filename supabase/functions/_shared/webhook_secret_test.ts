import { notStrictEqual, strictEqual } from "node:assert/strict";
import { webhookPublicKey, webhookSecret } from "./webhook_secret.ts";

const vectors = JSON.parse(
  await Deno.readTextFile(new URL("../../../tests/vectors/webhook_secret.json", import.meta.url)),
);

for (const { master_key, endpoint_id, version, secret, public_key } of [vectors].flat()) {
  Deno.test(`the secret of ${endpoint_id} version ${version} is the one that Python derives`, async () => {
    strictEqual(secret, await webhookSecret(master_key, endpoint_id, version));
    strictEqual(public_key, await webhookPublicKey(master_key, endpoint_id, version));
  });
}

Deno.test("another version, endpoint or master key gives another secret", async () => {
  const one = await webhookSecret("key", "endpoint", 1);

  notStrictEqual(one, await webhookSecret("key", "endpoint", 2));
  notStrictEqual(one, await webhookSecret("key", "other", 1));
  notStrictEqual(one, await webhookSecret("kez", "endpoint", 1));
});
