import { forward, Route } from "../../../_shared/route.ts";
import { networkId } from "../../shapes/callbacks.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "DELETE",
  path: "/callback-networks/{network_id}",
  access: "member",
  name: "disallow_network",
  summary: "Closes a private network to callbacks again (admins; it is audited)",
  parameters: { network_id: networkId },
  answers: { 200: { description: "The network is closed", schema: to("Thing") } },
  handle: forward("disallow_network"),
};
