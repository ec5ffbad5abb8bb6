import { json, Route } from "../../../_shared/route.ts";
import { refuse } from "../../../_shared/errors.ts";
import { to } from "../../shapes/table.ts";
import { shortToken } from "./short_token.ts";

export const route: Route = {
  method: "POST",
  path: "/tokens/oidc",
  access: "public",
  name: "exchange_oidc",
  summary:
    "Exchanges the OIDC token of a GitHub Actions workflow, once, for a short JWT of the tenant that trusts it",
  body: {
    kind: "object",
    schema: {
      type: "object",
      required: ["token", "tenant"],
      properties: {
        token: { type: "string", description: "what the issuer gave, made out for this control room (aud)" },
        tenant: { type: "string", description: "slug or id" },
        role: { type: "string", enum: ["viewer", "operator", "admin"], description: "no more than this" },
      },
    },
    limit: 32 * 1024,
  },
  answers: { 200: { description: "A JWT for as long as the trust says", schema: to("ShortToken") } },
  handle: async (call) => {
    const { token, tenant, role, ...others } = call.body.value as Record<string, unknown>;
    for (const name of Object.keys(others)) {
      throw refuse("FIELD_INVALID", { details: `$.${name.slice(0, 64)}` });
    }
    if (typeof token !== "string") throw refuse("FIELD_INVALID", { details: "$.token" });
    if (typeof tenant !== "string") throw refuse("FIELD_INVALID", { details: "$.tenant" });
    if (role !== undefined && typeof role !== "string") throw refuse("FIELD_INVALID", { details: "$.role" });
    const wish = role === undefined ? { tenant } : { tenant, role };
    const minted = await call.around.identity.admit(token, wish, call.trace);
    return json(200, shortToken(minted, call.around.settings.now()));
  },
};
