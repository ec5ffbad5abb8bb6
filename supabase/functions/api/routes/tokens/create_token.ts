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
    "With an access token as bearer: exchanges it for a short JWT. With an admin's JWT: creates an access token",
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
    if (accessToken === undefined) return passOn(await call.ask("create_token", call.body.text));
    const minted = await call.around.identity.exchange(accessToken, shortSeconds);
    return json(200, shortToken(minted, call.around.settings.now()));
  },
};
