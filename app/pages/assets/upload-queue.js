// Sends images to an image set, a few at a time and one request after another. What was sent is not sent again.
import { Problem, api, fieldOf } from "./page.js";

const AT_ONCE = 8;
const BYTES_AT_ONCE = 24e6;
const LONGEST_PAUSE = 15;

/** The images on their way into one set. Fires `answered` for each, `made` once the set exists, `pause` and `idle`. */
export class UploadQueue extends EventTarget {
  /**
   * `newest` is the id of the newest set that there was before, to find out whether a lost answer has made one.
   * `bands()` returns what is asked of images with many bands; it is read when the set is made.
   */
  constructor({ setId, newest, name, bands = () => ({}) }) {
    super();
    Object.assign(this, { setId, newest, name, bands, waiting: [], isBusy: false });
  }

  /** Sends these too: objects with `file` and `label`. */
  add(items) {
    this.waiting.push(...items);
    if (!this.isBusy) this.#run();
  }

  async #run() {
    this.isBusy = true;
    while (this.waiting.length) {
      const batch = this.#next();
      const form = new FormData();
      for (const item of batch) form.append(fieldOf(item.label), item.file, item.file.name);
      for (const item of batch) this.#tell("answered", { item, state: "sending" });
      try {
        const { results, isRepeated } = await this.send(form);
        this.#answer(batch, results, isRepeated);
      } catch (problem) {
        this.#answer(batch, problem.results ?? batch.map(() => problem), problem.isRepeated);
      }
    }
    this.isBusy = false;
    this.#tell("idle");
  }

  #next() {
    let bytes = 0;
    const end = this.waiting.findIndex((item, place) => place === AT_ONCE || (place && (bytes += item.file.size) > BYTES_AT_ONCE));
    return this.waiting.splice(0, end < 0 ? this.waiting.length : end);
  }

  /** Sends a form into the set, or makes the set of it; waits and tries again while the service is away or busy. */
  async send(form) {
    let isRepeated = false; // an answer may have got lost, and then what is there already came from here
    for (let pause = 1; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        const path = this.setId ? `/v1/support-sets/${this.setId}/images` : `/v1/support-sets?${new URLSearchParams({ name: this.name, ...this.bands() })}`;
        const answer = await api(path, { method: "POST", form });
        if (!this.setId) this.#found(answer.id);
        this.#tell("pause", { reason: "" });
        return Object.assign(answer, { isRepeated });
      } catch (problem) {
        const isAway = !(problem instanceof Problem) || [502, 504].includes(problem.status);
        if (!isAway && ![429, 503].includes(problem.status)) throw Object.assign(problem, { isRepeated });
        isRepeated ||= isAway;
        this.#tell("pause", { reason: isAway ? "offline" : "busy" });
        await new Promise((resolve) => setTimeout(resolve, 1000 * pause));
        if (isAway && !this.setId) await this.#adopt().catch(() => {});
      }
    }
  }

  // The answer that a set was made may have got lost: then it is the newest one, and has this name.
  async #adopt() {
    const { items } = await api("/v1/support-sets?limit=5");
    const known = items.findIndex((set) => set.id === this.newest);
    const made = items.slice(0, known < 0 ? items.length : known).find((set) => set.name === this.name.trim() && !set.is_frozen);
    if (made) this.#found(made.id);
  }

  #found(id) {
    this.setId = id;
    this.#tell("made", { id });
  }

  #answer(batch, results, isRepeated = false) {
    batch.forEach((item, place) => {
      const result = results[place];
      const isThere = result.code === "support_set.duplicate_image";
      const isKept = result.status === 201 || (isThere && isRepeated);
      this.#tell("answered", { item, state: isKept ? "kept" : isThere ? "known" : "refused", result });
    });
  }

  #tell(name, detail = {}) {
    this.dispatchEvent(Object.assign(new Event(name), detail));
  }
}
