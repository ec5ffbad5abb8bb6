import { Buffer } from "node:buffer";

/** What the fake saw of one request. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON, or undefined. */
  // deno-lint-ignore no-explicit-any -- tests look into bodies of every form
  readonly json: any;
}

/** What an RPC of the fake answers: a value (200), a status with a value, or a whole response. */
export type Reply = { readonly status: number; readonly body: unknown } | Response;

/**
 * PostgREST, Storage and Auth as far as the edge function speaks to them, in one process, on a real socket.
 *
 * It keeps what it was asked (`seen`), answers RPCs as the test says (`on`), and signs Storage URLs in
 * Storage's form. It decides nothing: what the real database decides is tested against the real one.
 */
export class FakeSupabase implements AsyncDisposable {
  readonly seen: Seen[] = [];
  readonly objects = new Map<string, Uint8Array>();
  jwks: unknown = { keys: [] };
  /** What the OpenID Connect issuer beside it says: its keys, and where they are. */
  issuerKeys: unknown = { keys: [] };
  discovery: Record<string, unknown> | undefined;
  readonly #replies = new Map<string, (seen: Seen) => Reply | Promise<Reply>>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => this.#answer(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** The `iss` of the issuer beside it. */
  get issuer(): string {
    return `${this.url}/oidc`;
  }

  /** Lets `/rest/v1/rpc/<name>` (or the view `<name>`) answer with `reply`. */
  on(name: string, reply: Reply | ((seen: Seen) => Reply | Promise<Reply>)): this {
    this.#replies.set(name, typeof reply === "function" ? reply : () => reply);
    return this;
  }

  /** The last request for an RPC, a view, or a path. @throws Error when there was none */
  last(name: string): Seen {
    const found = this.seen.findLast((seen) => seen.path.split("?")[0]?.endsWith(`/${name}`));
    if (found === undefined) throw new Error(`nobody asked for ${name}`);
    return found;
  }

  count(name: string): number {
    return this.seen.filter((seen) => seen.path.split("?")[0]?.endsWith(`/${name}`)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const bytes = new Uint8Array(await request.arrayBuffer());
    const text = Buffer.from(bytes).toString();
    const path = pathname + search;
    const seen: Seen = { method: request.method, path, headers: request.headers, text, json: parsed(text) };
    this.seen.push(seen);
    if (pathname === "/auth/v1/.well-known/jwks.json") return Response.json(this.jwks);
    if (pathname === "/oidc/.well-known/openid-configuration") {
      return Response.json(this.discovery ?? { issuer: this.issuer, jwks_uri: `${this.issuer}/jwks` });
    }
    if (pathname === "/oidc/jwks") {
      return this.issuerKeys instanceof Response ? this.issuerKeys.clone() : Response.json(this.issuerKeys);
    }
    if (pathname.startsWith("/storage/v1/object/")) {
      return this.#store(pathname.slice("/storage/v1/object/".length), seen, bytes);
    }
    const name = pathname.replace(/^\/rest\/v1\/(rpc\/)?/, "");
    const reply = this.#replies.get(name);
    if (reply === undefined) {
      const message = `Could not find the function public.${name} in the schema cache`;
      return Response.json({ code: "PGRST202", message, details: null, hint: null }, { status: 404 });
    }
    const answer = await reply(seen);
    if (answer instanceof Response) return answer.clone();
    if (answer.status === 204) return new Response(null, { status: 204 });
    const body = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body);
    return new Response(body, {
      status: answer.status,
      headers: { "content-type": "application/json; charset=utf-8" },
    });
  }

  #store(path: string, seen: Seen, bytes: Uint8Array): Response {
    if (seen.headers.get("authorization") !== "Bearer service-key") {
      return Response.json({ statusCode: "403", error: "Unauthorized", message: "no" }, { status: 400 });
    }
    if (path.startsWith("upload/sign/")) {
      return Response.json({ url: `/object/${path}?token=up`, token: "up" });
    }
    if (path.startsWith("sign/")) return Response.json({ signedURL: `/object/${path}?token=down` });
    if (seen.method === "DELETE" && seen.json?.prefixes !== undefined) {
      const there = (seen.json.prefixes as string[]).filter((name) => this.objects.delete(`${path}/${name}`));
      return Response.json(there.map((name) => ({ name })));
    }
    if (seen.method === "DELETE") {
      if (this.objects.delete(path)) return Response.json({ message: "Successfully deleted" });
      return Response.json({ statusCode: "404", error: "not_found", message: "no" }, { status: 400 });
    }
    if (this.objects.has(path)) {
      return Response.json({ statusCode: "409", error: "Duplicate", message: "exists" }, { status: 400 });
    }
    this.objects.set(path, bytes);
    return Response.json({ Key: path });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
