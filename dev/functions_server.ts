// Serves every Supabase function of this clone from one process, for the local stack.
//
//   deno run … functions_server.ts <port> <name>=<path of index.ts> …
//
// On Supabase each function is a worker of its own and `Deno.serve` opens its door. Here `Deno.serve` is
// replaced while a function is imported, its handler is kept, and requests are dispatched by the first path
// segment: the gateway turns /functions/v1/api/v1/… into /api/v1/…, which is what the function sees on
// Supabase too. There is no isolation between functions: this is a tool for development, on loopback only.

type Handler = (request: Request, info: Deno.ServeHandlerInfo) => Response | Promise<Response>;

const serve = Deno.serve.bind(Deno);

/** Imports one function and returns the handler that it would have served with. */
async function load(name: string, path: string): Promise<Handler> {
  let captured: Handler | undefined;
  Object.defineProperty(Deno, "serve", {
    configurable: true,
    value: (...given: unknown[]) => {
      // Deno.serve(handler), Deno.serve(options, handler), Deno.serve({ handler, … })
      captured = given.findLast((it) => typeof it === "function") as Handler | undefined ??
        (given[0] as { handler?: Handler }).handler;
      return { finished: new Promise(() => {}), shutdown: () => Promise.resolve(), addr: undefined };
    },
  });
  const module = await import(new URL(path, "file://").href);
  captured ??= module.default?.fetch?.bind(module.default);
  if (captured === undefined) {
    throw new Error(`function ${name} (${path}) neither calls Deno.serve nor exports { fetch }`);
  }
  return captured;
}

const [port, ...functions] = Deno.args;
const handlers = new Map<string, Handler>();
for (const it of functions) {
  const [name, path] = it.split("=", 2);
  handlers.set(name, await load(name, path));
}

// A fault that a function left unhandled ends its worker on Supabase; it must not end its neighbours here.
globalThis.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  console.error("unhandled rejection in a function:", event.reason);
});

serve({
  hostname: "127.0.0.1",
  port: Number(port),
  onListen: ({ port }) => console.log(`functions ${[...handlers.keys()].join(", ")} on 127.0.0.1:${port}`),
  onError: (error) => {
    console.error("a function failed:", error);
    return Response.json({ code: "WORKER_ERROR", message: "Function exited due to an error" }, {
      status: 500,
    });
  },
}, (request, info) => {
  const name = new URL(request.url).pathname.split("/", 2)[1];
  const handler = handlers.get(name);
  if (handler === undefined) {
    if (name === "_ready") {
      return Response.json({ functions: [...handlers.keys()] });
    }
    return Response.json({ code: "NOT_FOUND", message: "Requested function was not found" }, { status: 404 });
  }
  return handler(request, info);
});
