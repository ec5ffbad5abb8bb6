import { object } from "../../../_shared/json_text.ts";
import { refuse } from "../../../_shared/errors.ts";
import { json, Route } from "../../../_shared/route.ts";
import { webhookPublicKey, webhookSecret } from "../../../_shared/webhook_secret.ts";
import { endpointId } from "../../shapes/callbacks.ts";

export const route: Route = {
  method: "GET",
  path: "/endpoints/{endpoint_id}/secret",
  access: "member",
  name: "endpoint_secret",
  summary: "Shows an endpoint's signing secret (admins; it is audited)",
  parameters: { endpoint_id: endpointId },
  answers: {
    200: {
      description: "The secret, for any Standard Webhooks library",
      schema: {
        type: "object",
        required: ["endpoint_id", "secret_version", "secret"],
        properties: {
          endpoint_id: { type: "string", format: "uuid" },
          secret_version: { type: "integer" },
          secret: { type: "string", description: "whsec_…" },
          public_key: { type: "string", description: "whpk_…, where the endpoint asked for ed25519" },
        },
      },
    },
  },
  handle: async (call) => {
    const { masterKey } = call.around.settings;
    if (masterKey === undefined) throw refuse("NOT_CONFIGURED", { details: "CONTROL_ROOM_MASTER_KEY" });
    const endpoint = await call.need("get_endpoint", object({ ...call.parameters, purpose: '"secret"' }));
    const { endpoint_id, secret_version, ed25519 } = endpoint as {
      endpoint_id: string;
      secret_version: number;
      ed25519?: boolean;
    };
    const whose = [masterKey, endpoint_id, secret_version] as const;
    return json(200, {
      endpoint_id,
      secret_version,
      secret: await webhookSecret(...whose),
      ...(ed25519 ? { public_key: await webhookPublicKey(...whose) } : {}),
    });
  },
};
