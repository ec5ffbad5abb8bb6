import { database } from "./database.ts";
import { Refusal, refuse } from "./errors.ts";
import { Member } from "./identity.ts";
import { Lru } from "./lru.ts";
import { Settings } from "./settings.ts";

/** Lets so many requests a minute in. How many, of a tenant and of each who knocks, the database says. */
export interface Turnstile {
  /** @throws Refusal RATE_LIMITED with Retry-After, or what the database says of the caller */
  pass(member: Member): Promise<void>;
}

/** One that counts nothing. */
export const open: Turnstile = { pass: () => Promise.resolve() };

/** Leave is taken for this many at once: a request in twenty asks the database, and what is not used lapses. */
const parcel = 20;
const callersRemembered = 2000;

interface Leave {
  left: number;
  readonly refused: boolean;
  /** Seconds since 1970: then there is new leave. */
  readonly until: number;
}

export function turnstile(settings: Settings): Turnstile {
  const upstream = database(settings);
  const held = new Lru<string, Promise<Leave>>(callersRemembered);

  async function take(member: Member): Promise<Leave> {
    const answer = await upstream.call(
      "knock",
      JSON.stringify({ want: parcel }),
      member.jwt,
    );
    if (answer.status !== 200) {
      const headers = { "content-type": "application/json; charset=utf-8" };
      throw new Refusal(answer.status, answer.text, headers, "knock");
    }
    const { granted, seconds } = JSON.parse(answer.text);
    return {
      left: granted,
      refused: granted === 0,
      until: settings.now() + seconds,
    };
  }

  function forget(key: string, asked: Promise<Leave>): void {
    if (held.get(key) === asked) held.delete(key);
  }

  return {
    async pass(member) {
      const key = member.accessToken ?? member.jwt;
      for (;;) {
        const asked = held.get(key) ?? take(member);
        held.set(key, asked);
        let leave: Leave;
        try {
          leave = await asked;
        } catch (error) {
          forget(key, asked);
          throw error;
        }
        const now = settings.now();
        // who was refused is not asked about again: a flood costs the database nothing
        if (now < leave.until && leave.refused) {
          throw refuse("RATE_LIMITED", {
            headers: { "retry-after": String(Math.ceil(leave.until - now)) },
          });
        }
        if (now < leave.until && leave.left-- > 0) return;
        forget(key, asked);
      }
    },
  };
}
