import { Refusal, refuse } from "./errors.ts";
import { JsonText } from "./json_text.ts";
import { Settings } from "./settings.ts";

/** What PostgREST answered, its body still as text: Postgres' own JSON keeps every digit. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

/** The one way to the data: PostgREST, as the bearer. The database decides who may do what. */
export interface Database {
  /**
   * Calls `public.<name>` with `args` as its body. Without a bearer the call is anon's.
   *
   * @throws Refusal UPSTREAM_UNAVAILABLE or UPSTREAM_TIMEOUT. Errors with PostgREST's shape are answers.
   */
  call(name: string, args: JsonText, bearer?: string, trace?: Trace): Promise<Answer>;
  /** Reads rows of an exposed view; `query` is PostgREST's own. */
  rows(view: string, query: URLSearchParams, bearer: string, trace?: Trace): Promise<Answer>;
}

/** Request headers that the audit and the trace of a run want to see; bodies and tokens are not among them. */
export type Trace = Readonly<Record<string, string>>;

/** 40001 and 40P01 were rolled back whole, so asking again is safe, and the caller cannot do it better. */
const repeatable = /^\s*\{\s*"code"\s*:\s*"(?:40001|40P01)"/;
const tries = 3;

export function database(settings: Settings): Database {
  const root = `${settings.supabaseUrl}/rest/v1`;

  async function send(
    path: string,
    init: RequestInit,
    bearer: string | undefined,
    trace: Trace,
  ): Promise<Answer> {
    const headers: Record<string, string> = { ...trace, apikey: settings.anonKey };
    const authority = bearer ?? (settings.anonKey.startsWith("eyJ") ? settings.anonKey : undefined);
    if (authority !== undefined) headers.authorization = `Bearer ${authority}`;
    if (init.body !== undefined) headers["content-type"] = "application/json";
    try {
      const response = await fetch(root + path, {
        ...init,
        headers,
        redirect: "manual",
        signal: AbortSignal.timeout(settings.upstreamMilliseconds),
      });
      return shaped({ status: response.status, text: await response.text(), headers: response.headers });
    } catch (error) {
      if (error instanceof Refusal) throw error;
      if (error instanceof DOMException && error.name === "TimeoutError") throw refuse("UPSTREAM_TIMEOUT");
      throw refuse("UPSTREAM_UNAVAILABLE");
    }
  }

  return {
    async call(name, args, bearer, trace = {}) {
      for (let attempt = 1;; attempt++) {
        const answer = await send(`/rpc/${name}`, { method: "POST", body: args }, bearer, trace);
        if (answer.status !== 500 || attempt === tries || !repeatable.test(answer.text)) return answer;
        await new Promise((resume) => setTimeout(resume, 5 + Math.random() * 20 * attempt));
      }
    },
    rows: (view, query, bearer, trace = {}) => send(`/${view}?${query}`, { method: "GET" }, bearer, trace),
  };
}

/**
 * An error whose body is not PostgREST's comes from something in front of it: say so in our shape. And what
 * Postgres says before any function of ours is asked is said in our words.
 */
function shaped(answer: Answer): Answer {
  if (answer.status < 300) return answer;
  let code: unknown;
  let message: unknown;
  try {
    ({ code, message } = JSON.parse(answer.text) ?? {});
  } catch {
    code = undefined;
  }
  switch (code) {
    case "57014":
    case "55P03":
      throw refuse("UPSTREAM_TIMEOUT", {
        details: code === "57014"
          ? "The database ended the statement: it took longer than it may."
          : "The database waited too long for a lock.",
      });
    case "54001":
    case "22P05":
      throw unreadable(message);
    case "22P02":
    case "22003":
      if (/type json|numeric format/.test(String(message))) throw unreadable(message);
      return answer;
  }
  if (typeof code === "string" && answer.status >= 400) return answer;
  throw refuse("UPSTREAM_UNAVAILABLE", { details: `The door of the database answered ${answer.status}.` });
}

/** JSON that no jsonb holds: NUL, half of a pair, a number beyond numeric. */
function unreadable(message: unknown): Refusal {
  return refuse("BODY_INVALID", {
    message: "The request body holds what the database cannot.",
    details: String(message),
  });
}
