import { Answer } from "../../../_shared/database.ts";
import { Call } from "../../../_shared/route.ts";

/**
 * Puts the absolute address of each run into `{run_id, state, url}` answers: the database does not know
 * under which name clients reach it. Done on the text, so that a run_id keeps all its digits.
 */
export function withAddress(call: Call, answer: Answer): Answer {
  if (answer.status >= 300) return answer;
  const text = answer.text.replace(/\{[^{}]*\}/g, (run) => {
    const id = /"run_id"\s*:\s*(\d+)/.exec(run)?.[1];
    if (id === undefined) return run;
    return run.replace(
      /"url"\s*:\s*(?:"[^"]*"|null)/,
      () => `"url": ${JSON.stringify(call.address(`/runs/${id}`))}`,
    );
  });
  return { ...answer, text };
}

/**
 * The same for one whole run. Postgres sorts an object's keys by length, so the run's own `url` comes first;
 * whatever else is called url further inside belongs to the user.
 */
export function withOwnAddress(call: Call, answer: Answer): Answer {
  const text = answer.text.replace(
    /^\{"url": "(?=\/functions\/v1\/)/,
    `{"url": "${call.around.settings.publicUrl}`,
  );
  return { ...answer, text };
}
