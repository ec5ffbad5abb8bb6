/** Verifies messages with the official JavaScript library, each as at the moment of its arrival.
 *
 *     deno run --allow-read=FOLDER verify.ts FOLDER/messages.jsonl FOLDER/secrets.json
 *
 * Prints how many were accepted; ends with 1 at the first that is not.
 */
import { Webhook } from "npm:standardwebhooks@1.0.0";

const [messages, secrets] = Deno.args as [string, string];
const verifiers = new Map(
  Object.entries<string>(JSON.parse(await Deno.readTextFile(secrets))).map((
    [path, secret],
  ) => [path, new Webhook(secret)]),
);
let accepted = 0;
for (const line of (await Deno.readTextFile(messages)).trimEnd().split("\n")) {
  const [path, headers, body, came] = JSON.parse(line);
  Date.now = () => came * 1000;
  verifiers.get(path)!.verify(body, headers);
  accepted++;
}
console.log(accepted);
