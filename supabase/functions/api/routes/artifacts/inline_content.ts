import { fromBase64 } from "../../../_shared/base64url.ts";
import { refuse } from "../../../_shared/errors.ts";

export const contentLimit = 1024 * 1024;

/** The bytes of inline content, counted. @throws Refusal BODY_INVALID, BODY_TOO_LARGE */
export async function inlineContent(content: unknown, encoding: unknown) {
  const bytes = decoded(content, encoding ?? "text");
  if (bytes.length > contentLimit) {
    throw refuse("BODY_TOO_LARGE", { message: `Inline content is larger than ${contentLimit} bytes.` });
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { bytes, size: bytes.length, sha256 };
}

function decoded(content: unknown, encoding: unknown): Uint8Array<ArrayBuffer> {
  if (typeof content !== "string") throw refuse("BODY_INVALID", { message: "content must be a string." });
  if (encoding === "text") return new TextEncoder().encode(content);
  if (encoding !== "base64") throw refuse("BODY_INVALID", { message: "encoding must be text or base64." });
  const bytes = fromBase64(content);
  if (bytes === undefined) throw refuse("BODY_INVALID", { message: "content is no base64." });
  return bytes;
}
