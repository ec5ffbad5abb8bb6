import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { readBody } from "./body.ts";

const limit = 1000;

function sent(body: BodyInit | ReadableStream | null, headers: HeadersInit = {}): Request {
  return new Request("http://edge.local/", {
    method: "POST",
    headers,
    body,
    ...(body === null ? {} : { duplex: "half" }),
  });
}

async function compressed(text: string, way: CompressionFormat): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream(way));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

Deno.test("a body keeps its text, digits included", async () => {
  const text = ' {"a": 9007199254740993, "b": 1.10} ';

  deepStrictEqual(text, (await readBody(sent(text), "object", true, limit)).text);
});

for (const way of ["gzip", "deflate"] as const) {
  Deno.test(`a body compressed with ${way} is unpacked`, async () => {
    const body = await compressed('{"a":1}', way);

    deepStrictEqual(
      { a: 1 },
      (await readBody(sent(body, { "content-encoding": way }), "object", true, limit)).value,
    );
  });
}

Deno.test("a small body that unpacks beyond the limit is refused", async () => {
  const bomb = await compressed(JSON.stringify("x".repeat(100_000)), "gzip");

  strictEqual(true, bomb.length < limit);
  await rejects(
    readBody(sent(bomb, { "content-encoding": "gzip" }), "object", true, limit),
    /BODY_TOO_LARGE/,
  );
});

Deno.test("a body that announces too much is refused unread", async () => {
  const request = sent('{"a":1}', { "content-length": "1001" });

  await rejects(readBody(request, "object", true, limit), /BODY_TOO_LARGE/);
  strictEqual(false, request.bodyUsed);
});

Deno.test("a streamed body without a length is counted", async () => {
  const endless = ReadableStream.from((function* () {
    for (;;) yield new Uint8Array(100);
  })());

  await rejects(readBody(sent(endless), "object", true, limit), /BODY_TOO_LARGE/);
});

Deno.test("the last byte of the limit is taken, the one after it is not", async () => {
  const text = (size: number) => JSON.stringify({ a: "x".repeat(size - 8) });

  strictEqual(limit, (await readBody(sent(text(limit)), "object", true, limit)).text.length);
  await rejects(readBody(sent(text(limit + 1)), "object", true, limit), /BODY_TOO_LARGE/);
});

const bad: Record<string, [BodyInit | null, HeadersInit?]> = {
  "nothing": [null],
  "an empty text": [""],
  "no JSON": ["{a: 1}"],
  "two documents": ["{} {}"],
  "a document that closes early and goes on": ['{"a":1},"b":2'],
  "a list": ["[]"],
  "null": ["null"],
  "a number": ["1"],
  "bytes that are no UTF-8": [new Uint8Array([...new TextEncoder().encode('{"a":"'), 0xff, 0x22, 0x7d])],
  "no gzip": ["{}", { "content-encoding": "gzip" }],
  "101 levels": [`{"a":${"[".repeat(100)}${"]".repeat(100)}}`],
};

for (const [name, [body, headers]] of Object.entries(bad)) {
  Deno.test(`refused as BODY_INVALID: ${name}`, async () => {
    await rejects(readBody(sent(body, headers), "object", true, limit), /BODY_INVALID/);
  });
}

Deno.test("100 levels and brackets inside strings are fine", async () => {
  const deep = `{"a":${"[".repeat(99)}${"]".repeat(99)}}`;
  const quoted = JSON.stringify({ a: "[".repeat(300), b: '\\"[[[' });

  strictEqual(deep, (await readBody(sent(deep), "object", true, limit)).text);
  strictEqual(quoted, (await readBody(sent(quoted), "object", true, limit)).text);
});

Deno.test("an unknown Content-Encoding is refused as such", async () => {
  await rejects(
    readBody(sent("{}", { "content-encoding": "br" }), "object", true, limit),
    /ENCODING_UNSUPPORTED/,
  );
});

Deno.test("no body stands for an empty object where none is required", async () => {
  deepStrictEqual({ text: "{}", value: {} }, await readBody(sent(null), "object", false, limit));
});
