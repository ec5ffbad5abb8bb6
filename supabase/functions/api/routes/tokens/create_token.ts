import { json, passOn, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";
import { shortToken } from "./short_token.ts";

const shortSeconds = 600;

export const route: Route = {
  method: "POST",
  path: "/tokens",
  access: "member",
  name: "create_token",
  summary:
    "With an access token as bearer and no body: exchanges it for a short JWT. With a member's JWT: creates an access token",
  body: {
    kind: "object",
    required: false,
    schema: {
      type: "object",
      properties: {
        name: { type: "string" },
        role: { type: "string", enum: ["viewer", "operator", "admin"] },
        expires_at: { type: "string", format: "date-time" },
      },
    },
  },
  answers: {
    200: { description: "A JWT of ten minutes", schema: to("ShortToken") },
    201: { description: "The new access token, shown this once", schema: to("AccessToken") },
  },
  handle: async (call) => {
    const { accessToken } = call.member;
    // what is said decides: who names a token wants a new one, which the database refuses to machines
    const named = Object.keys(call.body.value as Record<string, unknown>).length > 0;
    if (accessToken === undefined || named) return passOn(await call.ask("create_token", call.body.text));
    const minted = await call.around.identity.exchange(accessToken, shortSeconds);
    return json(200, shortToken(minted, call.around.settings.now()));
  },
};
