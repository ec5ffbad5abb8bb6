import { identity } from "../_shared/identity.ts";
import { fromEnvironment } from "../_shared/settings.ts";
import { rateLimiter } from "../_shared/rate_limit.ts";
import { door } from "./door.ts";
import { routes } from "./routes/table.ts";

const settings = fromEnvironment((name) => Deno.env.get(name));
Deno.serve(door(routes, settings, identity(settings), rateLimiter(settings)));
