import { passOn, Route } from "../../../_shared/route.ts";
import { refuse } from "../../../_shared/errors.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/invitations/accept",
  access: "public", // a person who is no member yet: the token of any tenant, or of none
  name: "accept_invitation",
  summary: "Makes the person who asks, by his own JWT, the member that he was invited to be",
  body: {
    kind: "object",
    schema: {
      type: "object",
      required: ["token"],
      properties: { token: { type: "string", description: "crin_…" } },
    },
  },
  answers: {
    200: {
      description: "The membership; the next JWT of the project names the tenant",
      schema: to("Member"),
    },
  },
  handle: async (call) => {
    const { token } = call.body.value as Record<string, unknown>;
    if (typeof token !== "string") throw refuse("FIELD_INVALID", { details: "$.token" });
    const vouched = await call.around.identity.vouch(call.request);
    const { database } = call.around;
    return passOn(await database.call("accept_invitation", JSON.stringify({ token }), vouched, call.trace));
  },
};
