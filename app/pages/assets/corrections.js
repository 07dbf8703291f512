// Wrong answers that somebody corrects: their images go into a copy of the image set that the model learnt from.
import { Problem, api, fieldOf } from "./page.js";
import { patiently } from "./patient-api.js";

const SETS = "/v1/support-sets";

/** The copy is made with the first correction of a visit; a reload of the page keeps it. */
export class Corrections {
  #copy = null;
  #last = Promise.resolve();

  constructor(setId) {
    Object.assign(this, { setId, count: 0 });
  }

  get copyId() {
    return this.#copy;
  }

  /** Finds the copy of this visit, if there is one that can still be changed. */
  async restore() {
    const kept = JSON.parse(sessionStorage.getItem(this.#key) ?? "null");
    if (kept === null) return;
    try {
      const copy = await api(`${SETS}/${kept.id}`);
      if (!copy.is_frozen) [this.#copy, this.count] = [kept.id, kept.count];
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
    }
    if (this.#copy === null) sessionStorage.removeItem(this.#key);
  }

  /** Puts a file into a class, which may be the negative one; returns the id of the image, or throws a Problem. One at a time, in order. */
  add(file, label, isNegative) {
    const added = this.#last.then(() => this.#add(file, label, isNegative));
    this.#last = added.catch(() => {});
    return added;
  }

  /** Takes an image out again. */
  async remove(imageId) {
    await patiently(`${SETS}/${this.#copy}/images/${imageId}`, { method: "DELETE" });
    this.#count(-1);
  }

  async #add(file, label, isNegative) {
    this.#copy ??= (await patiently(`${SETS}/${this.setId}/copy`, { method: "POST" })).id;
    const form = new FormData();
    form.append(fieldOf(label), file, file.name);
    const { results } = await patiently(`${SETS}/${this.#copy}/images${isNegative ? `?${new URLSearchParams({ negative: label })}` : ""}`, { method: "POST", form });
    const refused = results.find((result) => result.status !== 201);
    if (refused) throw new Problem(refused, refused.status);
    this.#count(1);
    return results[0].image_id;
  }

  #count(change) {
    this.count += change;
    sessionStorage.setItem(this.#key, JSON.stringify({ id: this.#copy, count: this.count }));
  }

  get #key() {
    return `vtt-copy-of-${this.setId}`;
  }
}
