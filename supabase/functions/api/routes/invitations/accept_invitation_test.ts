import { deepStrictEqual, ok } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { accessToken, attemptToken, Rehearsal, token } from "../../testing.ts";

const member = { tenant_id: "t", user_id: "user-1", role: "viewer" };
const person = {
  role: "authenticated",
  tenant_id: undefined,
  user_id: undefined,
  sub: "user-1",
  email: "a@b.example",
};

Deno.test("a person of no tenant accepts by his own JWT, which we vouch for", async () => {
  await using it = new Rehearsal();
  it.fake.on("accept_invitation", { status: 200, body: member });

  const response = await it.ask("POST", "/invitations/accept", {
    body: { token: "crin_x" },
    bearer: await token(person),
  });

  deepStrictEqual([200, member], [response.status, await response.json()]);
  const asked = it.fake.last("accept_invitation");
  deepStrictEqual({ token: "crin_x" }, asked.json);
  const ours = (asked.headers.get("authorization") ?? "").slice("Bearer ".length).split(".")[1] as string;
  const { role, assertion, exp, iat } = JSON.parse(Buffer.from(ours, "base64url").toString());
  deepStrictEqual(["anon", { user_id: "user-1", email: "a@b.example" }], [role, assertion]);
  ok(exp - iat <= 30);
});

const nobody: Record<string, () => Promise<string | null> | string | null> = {
  "nobody": () => null,
  "an access token": () => accessToken,
  "an attempt": () => attemptToken,
  "a JWT of an access token": () => token({ token_id: "x" }),
  "an anonymous user": () => token({ ...person, is_anonymous: true }),
  "anon": () => token({ ...person, role: "anon" }),
  "service_role": () => token({ ...person, role: "service_role" }),
  "a JWT without a user": () => token({ ...person, sub: undefined }),
  "an expired JWT": () => token({ ...person, exp: 1 }),
  "a JWT of a stranger": () => token(person, {}, "another secret"),
};

for (const [name, bearer] of Object.entries(nobody)) {
  Deno.test(`an invitation is not for ${name}`, async () => {
    await using it = new Rehearsal();

    const response = await it.ask("POST", "/invitations/accept", {
      body: { token: "x" },
      bearer: await bearer(),
    });

    deepStrictEqual([401, 0], [response.status, it.fake.count("accept_invitation")]);
  });
}
