import { database, Trace } from "./database.ts";
import { Refusal, refuse } from "./errors.ts";
import { Member } from "./identity.ts";
import { Lru } from "./lru.ts";
import { Settings } from "./settings.ts";

/** Lets so many requests a minute in. How many, of a tenant and of each who knocks, the database says. */
export interface RateLimiter {
  /** @throws Refusal RATE_LIMITED with Retry-After, or what the database says of the caller */
  pass(member: Member): Promise<void>;
  /**
   * Somebody who has shown nothing yet, or nothing that was good, by where he comes from.
   *
   * @throws Refusal RATE_LIMITED with Retry-After
   */
  passStranger(request: Request, trace: Trace): Promise<void>;
  /** What passStranger is known to say, without asking anybody. @throws Refusal RATE_LIMITED with Retry-After */
  refuseShut(request: Request): Promise<void>;
}

/** One that counts nothing. */
export const open: RateLimiter = {
  pass: () => Promise.resolve(),
  passStranger: () => Promise.resolve(),
  refuseShut: () => Promise.resolve(),
};

/** Leave is taken for this many at once: a request in twenty asks the database, and what is not used lapses. */
const batch = 20;
const callersRemembered = 2000;

interface Leave {
  left: number;
  readonly refused: boolean;
  /** Seconds since 1970: then there is new leave. */
  readonly until: number;
}

export function rateLimiter(settings: Settings): RateLimiter {
  const upstream = database(settings);
  const members = new Lru<string, Promise<Leave>>(callersRemembered);
  const strangers = new Lru<string, Promise<Leave>>(callersRemembered);

  async function take(name: string, bearer?: string, trace?: Trace): Promise<Leave> {
    const answer = await upstream.call(name, JSON.stringify({ want: batch }), bearer, trace);
    if (answer.status !== 200) {
      const headers = { "content-type": "application/json; charset=utf-8" };
      throw new Refusal(answer.status, answer.text, headers, name);
    }
    const { granted, seconds } = JSON.parse(answer.text);
    return { left: granted, refused: granted === 0, until: settings.now() + seconds };
  }

  async function use(
    held: Lru<string, Promise<Leave>>,
    key: string,
    ask: () => Promise<Leave>,
  ): Promise<void> {
    function forget(asked: Promise<Leave>): void {
      if (held.get(key) === asked) held.delete(key);
    }

    for (;;) {
      const asked = held.get(key) ?? ask();
      held.set(key, asked);
      let leave: Leave;
      try {
        leave = await asked;
      } catch (error) {
        forget(asked);
        throw error;
      }
      const now = settings.now();
      // who was refused is not asked about again: a flood costs the database nothing
      if (now < leave.until && leave.refused) throw limited(leave.until - now);
      if (now < leave.until && leave.left-- > 0) return;
      forget(asked);
    }
  }

  return {
    async pass(member) {
      await use(members, member.accessToken ?? member.jwt, () => take("knock", member.jwt));
    },
    async passStranger(request, trace) {
      await use(strangers, whence(request), () => take("knock_outside", undefined, trace));
    },
    async refuseShut(request) {
      const leave = await strangers.get(whence(request))?.catch(() => undefined);
      const now = settings.now();
      if (leave?.refused && now < leave.until) throw limited(leave.until - now);
    },
  };
}

function limited(seconds: number): Refusal {
  return refuse("RATE_LIMITED", { headers: { "retry-after": String(Math.ceil(seconds)) } });
}

/** Under which key a stranger's leave is remembered. Which of these is to be believed the database knows, and counts by that. */
function whence(request: Request): string {
  return request.headers.get("cf-connecting-ip") ??
    request.headers.get("x-forwarded-for")?.split(",").at(-1)?.trim() ?? "";
}
