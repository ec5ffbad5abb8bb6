import { Minted } from "../../../_shared/identity.ts";

/** A minted JWT as it is told, in OAuth's words where it has some. */
export function shortToken({ jwt, member, expiresAt }: Minted, now: number): Record<string, unknown> {
  return {
    access_token: jwt,
    token_type: "bearer",
    expires_in: expiresAt - Math.floor(now),
    expires_at: expiresAt,
    tenant_id: member.tenantId,
    user_id: member.userId,
    role: member.role,
  };
}
