import { Trace } from "./database.ts";
import { derived } from "./derivation.ts";

/** What a front of ours may write the caller's address into; the database is told which of them counts. */
const fronts = ["x-forwarded-for", "cf-connecting-ip", "x-real-ip"] as const;

/** Where requests come from, for the audit: headers that the database believes, since they come with our key. */
export interface Origin {
  of(request: Request): Promise<Trace>;
}

/**
 * Anybody may call the Data API and send these headers. The key shows that it is this function that hands
 * them on; the database knows its SHA-256 (`platform_set_audit`). Without a master key there is none, and the
 * audit names the function's own address.
 */
export function origin(masterKey: string | undefined): Origin {
  const key = masterKey === undefined ? undefined : derived(masterKey, "control-room/edge/v1");
  return {
    async of(request) {
      const headers: Record<string, string> = {};
      const agent = request.headers.get("user-agent");
      if (agent !== null) headers["user-agent"] = agent;
      if (key === undefined) return headers;
      headers["x-edge-key"] = hex(await key);
      for (const name of fronts) {
        const value = request.headers.get(name);
        if (value !== null) headers[`x-edge-${name}`] = value;
      }
      return headers;
    },
  };
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
