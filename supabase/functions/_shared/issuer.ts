import { refuse } from "./errors.ts";
import { isSignedBy, parse, untimely } from "./jwt.ts";
import { KnownKey } from "./keys.ts";
import { document, publishedKeys } from "./published_keys.ts";
import { Settings } from "./settings.ts";

/** What an issuer vouches for, verified: the claims that trusts look at, and those that the audit keeps. */
export type Assertion = Readonly<Record<string, string | number>>;

/** The OpenID Connect issuer whose workflows may be trusted: GitHub Actions, unless the settings say otherwise. */
export interface Issuer {
  /** @throws Refusal TOKEN_INVALID, or UPSTREAM_UNAVAILABLE while the issuer's keys cannot be read */
  verify(token: string): Promise<Assertion>;
}

const kept = [
  ...["sub", "repository", "repository_id", "ref", "environment", "event_name"],
  ...["run_id", "actor", "workflow_ref", "job_workflow_ref", "sha"],
] as const;
const longestClaim = 1024;
/** A token is remembered as spent until it ends, so one that hardly ever ends is not taken. */
const longestLifeSeconds = 86_400;

export function issuer(settings: Settings): Issuer {
  const name = settings.oidcIssuer;
  const keys = publishedKeys(async () => await document(await whereKeysAre(name)), settings.now);

  async function verify(text: string): Promise<Assertion> {
    const token = parse(text);
    if (token === undefined) throw invalid("it is no JSON web token");
    const { header, claims } = token;
    if (header.crit !== undefined) throw invalid("it has critical extensions");
    if (header.alg !== "RS256" && header.alg !== "ES256") {
      throw invalid("its algorithm is not RS256 or ES256");
    }
    if (typeof header.kid !== "string") throw invalid("it names no key");
    // before any key is looked for: the tokens of others must not make us ask the issuer
    if (claims.iss !== name) throw invalid("it is of another issuer");
    // ours alone: what is also made out for somebody else, he could bring as well
    const { aud } = claims;
    if ((Array.isArray(aud) && aud.length === 1 ? aud[0] : aud) !== settings.oidcAudience) {
      throw invalid(`it is for another audience than ${settings.oidcAudience}`);
    }
    const untimeliness = untimely(claims, settings.now());
    if (untimeliness !== undefined) throw invalid(untimeliness);
    if (claims.exp as number > settings.now() + longestLifeSeconds) throw invalid("it is good for too long");
    const { jti } = claims;
    if (typeof jti !== "string" || jti === "" || jti.length > longestClaim) throw invalid("it has no jti");
    const candidates = await keys.that((key: KnownKey) => key.alg === header.alg && key.kid === header.kid);
    if (candidates.length === 0 && !keys.read) {
      throw refuse("UPSTREAM_UNAVAILABLE", { details: "The keys of the issuer cannot be read." });
    }
    const matches = await Promise.all(candidates.map((key) => isSignedBy(token, key)));
    if (!matches.includes(true)) throw invalid("no key of the issuer has signed it");
    const assertion: Record<string, string | number> = { iss: name, jti, exp: claims.exp as number };
    for (const claim of kept) {
      const value = claims[claim];
      if (typeof value === "string" && value.length <= longestClaim) assertion[claim] = value;
    }
    return assertion;
  }

  return { verify };
}

/** OpenID Connect Discovery: the issuer says itself where its keys are, and they must be its own. */
async function whereKeysAre(name: string): Promise<string> {
  const told = await document(`${name}/.well-known/openid-configuration`) as Record<string, unknown> | null;
  const { issuer, jwks_uri } = told ?? {};
  if (issuer !== name || typeof jwks_uri !== "string") throw new Error(`${name} does not describe itself`);
  if (new URL(jwks_uri).origin !== new URL(name).origin) throw new Error(`${jwks_uri} is not of ${name}`);
  return jwks_uri;
}

function invalid(why: string) {
  return refuse("TOKEN_INVALID", { details: `The issuer's token is refused: ${why}.` });
}
