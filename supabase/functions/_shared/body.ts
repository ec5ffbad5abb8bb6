import { refuse } from "./errors.ts";
import { depth, JsonText } from "./json_text.ts";

export const bodyLimit = 2 * 1024 * 1024;
const deepest = 100;

/** A body that was read once: the text to pass on, and its value to look at. */
export interface Body {
  readonly text: JsonText;
  readonly value: unknown;
}

/**
 * Reads the request's JSON, plain or compressed, of at most `limit` bytes after unpacking.
 *
 * The Content-Type is not asked for: there are no cookies here, so nothing can be forged by a form.
 *
 * @throws Refusal BODY_TOO_LARGE, ENCODING_UNSUPPORTED, BODY_INVALID
 */
export async function readBody(
  request: Request,
  kind: "object" | "array",
  required: boolean,
  limit: number,
): Promise<Body> {
  const bytes = await readBytes(request, limit);
  if (bytes.length === 0 && !required) {
    return kind === "object" ? { text: "{}", value: {} } : { text: "[]", value: [] };
  }
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    throw refuse("BODY_INVALID", {
      message: "The request body is no JSON.",
      details: (error as Error).message,
    });
  }
  const found = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
  if (found !== kind) {
    throw refuse("BODY_INVALID", { message: `The request body must be a JSON ${kind}, not ${found}.` });
  }
  if (depth(text) > deepest) {
    throw refuse("BODY_INVALID", { message: `The request body nests deeper than ${deepest} levels.` });
  }
  return { text, value };
}

async function readBytes(request: Request, limit: number): Promise<Uint8Array> {
  const announced = Number(request.headers.get("content-length") ?? "0");
  if (announced > limit) throw tooLarge(limit);
  if (request.body === null) return new Uint8Array();
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase() || "identity";
  const way = decompression(encoding);
  // the server holds a body to its Content-Length, so a small announced one needs no counting
  if (way === undefined && announced > 0) return new Uint8Array(await request.arrayBuffer());
  const stream = way === undefined ? request.body : request.body.pipeThrough(new DecompressionStream(way));
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of stream) {
      size += chunk.length;
      if (size > limit) break;
      chunks.push(chunk);
    }
  } catch {
    throw refuse("BODY_INVALID", { message: `The request body is no ${encoding} stream.` });
  }
  if (size > limit) throw tooLarge(limit);
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function decompression(encoding: string): "gzip" | "deflate" | undefined {
  switch (encoding) {
    case "identity":
      return undefined;
    case "gzip":
    case "x-gzip":
      return "gzip";
    case "deflate":
      return "deflate";
    default:
      throw refuse("ENCODING_UNSUPPORTED", { details: `Content-Encoding: ${encoding}` });
  }
}

function tooLarge(limit: number) {
  return refuse("BODY_TOO_LARGE", { message: `The request body is larger than ${limit} bytes.` });
}
