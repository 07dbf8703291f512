// Requests that wait while the service is busy or away, and are then sent again.
import { api, Problem } from "./page.js";

const AWAY_SECONDS = 4;
const BUSY = [429, 503];
const LONGEST_WAIT_SECONDS = 600;

const seconds = (wait) => new Promise((resolve) => setTimeout(resolve, 1000 * wait));

/** As `api`, but waits as long as a busy service asks for; `tell(seconds, isAway, code)` hears of each wait, `tell(0)` of its end;
 * it gives up once `mayWait()` is false, or where a busy service has asked for ten minutes in all: a request that is larger than a
 * quota of a minute would wait for ever. */
export async function patiently(path, options, tell = () => {}, mayWait = () => true) {
  for (let waited = 0; ; ) {
    try {
      return await api(path, options);
    } catch (problem) {
      const isBusy = problem instanceof Problem && BUSY.includes(problem.status) && problem.code !== "backbone.unavailable";
      const isAway = problem instanceof TypeError;
      if ((!isBusy && !isAway) || !mayWait()) throw problem;
      const wait = isAway ? AWAY_SECONDS : problem.retryAfter;
      if (isBusy && (waited += wait) > LONGEST_WAIT_SECONDS) throw problem;
      tell(wait, isAway, problem.code ?? "");
      await seconds(wait);
      tell(0, false);
    }
  }
}
