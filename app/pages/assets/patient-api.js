// Requests that wait while the service is busy or away, and are then sent again.
import { api, Problem } from "./page.js";

const AWAY_SECONDS = 4;
const BUSY = [429, 503];

const seconds = (wait) => new Promise((resolve) => setTimeout(resolve, 1000 * wait));

/** As `api`, but waits as long as a busy service asks for; `tell(seconds, isAway)` hears of each wait, `tell(0)` of its end. */
export async function patiently(path, options, tell = () => {}) {
  for (;;) {
    try {
      return await api(path, options);
    } catch (problem) {
      const isBusy = problem instanceof Problem && BUSY.includes(problem.status) && problem.code !== "backbone.unavailable";
      const isAway = problem instanceof TypeError;
      if (!isBusy && !isAway) throw problem;
      const wait = isAway ? AWAY_SECONDS : problem.retryAfter;
      tell(wait, isAway);
      await seconds(wait);
      tell(0, false);
    }
  }
}
