import { Answer, Database, Trace } from "./database.ts";
import { Refusal, refuse } from "./errors.ts";
import { Attempt, Caller, Check, Identity, Member, Sweep } from "./identity.ts";
import { extended, JsonText } from "./json_text.ts";
import { Schema } from "./schema.ts";
import { Settings } from "./settings.ts";
import { Storage } from "./storage.ts";

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

/** One verb of the API: what the router, the door and the OpenAPI document need to know of it. */
export interface Route {
  readonly method: Method;
  /** Below `/api/v1`; `{name}` takes one segment. */
  readonly path: `/${string}`;
  /** Who may knock. What they may do is the database's to say. */
  readonly access: "public" | Caller["kind"];
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: Readonly<Record<string, Schema>>;
  readonly query?: Readonly<Record<string, Schema>>;
  readonly body?: {
    readonly kind: "object" | "array";
    readonly schema: Schema;
    /** Absent: required. */
    readonly required?: boolean;
    /** Bytes; absent: 2 MiB. */
    readonly limit?: number;
  };
  readonly answers: Readonly<Record<number, Content>>;
  /** Set: the verb is to go. Every answer says so, for two releases at least. */
  readonly retires?: Deprecation;
  readonly handle: (call: Call) => Promise<Response>;
}

/** Dates as `2027-01-31`, midnight UTC. */
export interface Deprecation {
  readonly since: string;
  readonly sunset: string;
  /** What to call instead, as it stands in docs/api.md. */
  readonly instead: string;
}

export interface Content {
  readonly description: string;
  readonly schema?: Schema;
  /** Other media types than JSON. */
  readonly types?: readonly string[];
}

/** What every request shares. */
export interface Surroundings {
  readonly settings: Settings;
  readonly database: Database;
  readonly storage: Storage;
  readonly identity: Identity;
  readonly routes: readonly Route[];
}

/** One request, read and checked for shape. */
export class Call {
  constructor(
    readonly around: Surroundings,
    readonly request: Request,
    readonly caller: Caller | undefined,
    /** Path and query values as JSON, ready for Postgres. */
    readonly parameters: Readonly<Record<string, JsonText>>,
    readonly query: Readonly<Record<string, JsonText | undefined>>,
    readonly body: { readonly text: JsonText; readonly value: unknown },
    readonly trace: Trace,
  ) {}

  /** @throws Refusal TOKEN_INVALID when the bearer is no member's */
  get member(): Member {
    if (this.caller?.kind === "member") return this.caller;
    throw refuse("TOKEN_INVALID", { details: "This route takes a member's token." });
  }

  /** @throws Refusal ATTEMPT_TOKEN_INVALID when the bearer is no attempt's, or of another than the path names */
  get attempt(): Attempt {
    const { caller } = this;
    if (caller?.kind === "attempt" && caller.attemptId === this.parameters.attempt_id) return caller;
    throw refuse("ATTEMPT_TOKEN_INVALID");
  }

  /** @throws Refusal CHECK_TOKEN_INVALID when the bearer is no check's */
  get check(): Check {
    if (this.caller?.kind === "check") return this.caller;
    throw refuse("CHECK_TOKEN_INVALID");
  }

  /** @throws Refusal SWEEP_TOKEN_INVALID when the bearer is no sweep's */
  get sweep(): Sweep {
    if (this.caller?.kind === "sweep") return this.caller;
    throw refuse("SWEEP_TOKEN_INVALID");
  }

  /** Everything the caller sent as one object: the body, then the query, then the path, which wins. */
  get everything(): JsonText {
    return extended(this.body.text, { ...this.query, ...this.parameters });
  }

  /** Calls an RPC as the caller, or as anon where the caller is no member. */
  async ask(name: string, args: JsonText): Promise<Answer> {
    const bearer = this.caller?.kind === "member" ? this.caller.jwt : undefined;
    return await this.around.database.call(name, args, bearer, this.trace);
  }

  /** As `ask`, for a verb that goes on with the result. @throws Refusal with the database's own error */
  async need(name: string, args: JsonText): Promise<Record<string, unknown>> {
    const answer = await this.ask(name, args);
    if (answer.status >= 300) throw new Refusal(answer.status, answer.text, headersOf(answer), name);
    return JSON.parse(answer.text);
  }

  /** The same call with its bearer examined anew: an answer that lasts outlives the token it began with. */
  async renewed(): Promise<Call> {
    const caller = await this.around.identity.caller(this.request);
    return new Call(this.around, this.request, caller, this.parameters, this.query, this.body, this.trace);
  }

  /** The absolute address of something below `/api/v1`, as clients see it. */
  address(path: string): string {
    return `${this.around.settings.publicUrl}/functions/v1/api/v1${path}`;
  }
}

/** The usual verb: all that was sent goes to one RPC, and its answer goes back. */
export function forward(name: string): Route["handle"] {
  return async (call) => passOn(await call.ask(name, call.everything));
}

/** The database's answer as ours. */
export function passOn(answer: Answer): Response {
  const empty = answer.status === 204 || answer.text === "";
  return new Response(empty ? null : answer.text, { status: answer.status, headers: headersOf(answer) });
}

export function json(status: number, value: unknown): Response {
  return new Response(JSON.stringify(value), { status, headers: { "content-type": jsonType } });
}

const jsonType = "application/json; charset=utf-8";
const passedHeaders = ["www-authenticate", "retry-after"] as const;

function headersOf(answer: Answer): Record<string, string> {
  const headers: Record<string, string> = { "content-type": jsonType };
  for (const name of passedHeaders) {
    const value = answer.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  return headers;
}
