// Asks what images show, a few at a time.
import { patiently } from "./patient-api.js";
import { t } from "./page.js";

const BATCH_IMAGES = 8;
const BATCH_BYTES = 32e6;

/** Answers items one batch after the other; each has a `file`, and gets an `answer` or a `problem`. */
export class PredictionQueue {
  #waiting = [];
  #isRunning = false;
  #round = 0;

  /** `changed(items)` hears of every batch that was answered, `wait(seconds, isAway)` of pauses. */
  constructor(path, { changed, wait }) {
    Object.assign(this, { path, changed, wait, coverage: "0.9" });
  }

  add(items) {
    this.#waiting.push(...items);
    if (!this.#isRunning) this.#run();
  }

  /** Forgets what waits, and what is asked at the moment. */
  clear() {
    this.#waiting = [];
    this.#round += 1;
  }

  async #run() {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const round = this.#round;
      const batch = this.#next();
      await this.#ask(batch);
      if (round === this.#round) this.changed(batch);
    }
    this.#isRunning = false;
  }

  #next() {
    let bytes = 0;
    const most = this.#waiting.slice(0, BATCH_IMAGES).findIndex((item, place) => (bytes += item.file.size) > BATCH_BYTES && place > 0);
    return this.#waiting.splice(0, most > 0 ? most : BATCH_IMAGES);
  }

  async #ask(batch) {
    const form = new FormData();
    for (const item of batch) form.append("images", item.file, item.file.name);
    let answers;
    try {
      const answer = await patiently(`${this.path}/predict?coverage=${this.coverage}`, { method: "POST", form }, this.wait);
      answers = answer.predictions;
    } catch (problem) {
      answers = problem.results ?? batch.map(() => ({ status: 0, ...described(problem) }));
    }
    batch.forEach((item, place) => {
      const answer = answers[place];
      item.answer = answer.status === 200 ? answer : null;
      item.problem = answer.status === 200 ? null : answer;
    });
  }
}

const described = (problem) => ({ expected: problem.expected || t("try.an_answer"), got: problem.got || problem.message, remedy: problem.remedy || t("try.reload") });
