/** 32 bytes for one purpose: HKDF-SHA256 (RFC 5869) with the master key's UTF-8 bytes and no salt. */
export async function derived(masterKey: string, purpose: string): Promise<Uint8Array<ArrayBuffer>> {
  const text = new TextEncoder();
  const material = await crypto.subtle.importKey("raw", text.encode(masterKey), "HKDF", false, [
    "deriveBits",
  ]);
  const way = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: text.encode(purpose) };
  return new Uint8Array(await crypto.subtle.deriveBits(way, material, 256));
}
