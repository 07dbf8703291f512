// <drop-zone>: takes photographs by drop, button, clipboard and camera, and sends them into an image set.
import { FoundFile, filesOfDrop, filesOfList, withoutQueries } from "./dropped-files.js";
import { announce, element, t } from "./page.js";
import { IMAGE_FILES } from "./picked-files.js";
import { UploadQueue } from "./upload-queue.js";
import { knownCard, reason, refusedCard, show, smaller, thumbnail, trayCard } from "./upload-view.js";

const ZIP = /\.zip$/i;
const ICON = "M12 16V4m0 0L7 9m5-5 5 5M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3";
let count = 0;

class DropZone extends HTMLElement {
  #items = [];
  #queue = null;
  #archiveResults = [];

  connectedCallback() {
    if (this.classList.contains("ready")) return;
    this.classList.add("ready");
    this.setId = this.dataset.set;
    this.maxShot = Number(this.dataset.maxShot);
    this.#build();
    this.#listen();
  }

  /** Takes these files; all of them into one class if one is named. */
  async add(found, label = "") {
    const zips = found.filter((one) => ZIP.test(one.file.name));
    let [images, folder] = withoutQueries(found.filter((one) => !ZIP.test(one.file.name)));
    this.notices.replaceChildren();
    if (folder) this.#notice(t("drop.split", { folder }));
    if (!found.length) this.#notice(t("drop.nothing"));
    const items = images.map((one) => this.#item(one.file, label || clean(one.label)));
    this.#name ??= zips[0]?.file.name.replace(ZIP, "") ?? images.find((one) => one.folders.length > 1)?.folders[0] ?? "";
    this.#send(this.#firstOfEach(items.filter((item) => item.label)));
    this.#items.push(...items.filter((item) => !item.label));
    this.#draw();
    for (const zip of zips) await this.#sendZip(zip.file);
  }

  #name;

  #item(file, label) {
    return { number: (count += 1), file, label, state: label ? "waiting" : "tray", url: URL.createObjectURL(file) };
  }

  // A folder may hold thousands of images; only as many as a class takes are sent at all.
  #firstOfEach(items) {
    const classes = Map.groupBy(items, (item) => item.label);
    return [...classes].flatMap(([label, all]) => {
      if (all.length > this.maxShot) this.#notice(t("drop.only_first", { max: this.maxShot, n: all.length, label }));
      return all.slice(0, this.maxShot);
    });
  }

  #send(items) {
    if (!items.length) return;
    for (const item of items) if (!this.#items.includes(item)) this.#items.push(item);
    for (const item of items) item.state = "waiting";
    this.#uploads().add(items);
    this.#draw();
  }

  #namesOfClasses() {
    return [...new Set(this.#items.map((item) => item.label).filter(Boolean))].slice(0, 3).join(", ");
  }

  #uploads() {
    if (this.#queue) return this.#queue;
    this.#queue = new UploadQueue({ setId: this.setId, newest: this.dataset.newest, name: this.#name || this.#namesOfClasses(), bands: () => this.#bands() });
    this.#queue.addEventListener("answered", (event) => this.#answered(event));
    this.#queue.addEventListener("made", (event) => {
      this.setId = event.id;
      if (this.manyBands) this.manyBands.hidden = true; // the set has its bands now
      history.replaceState(null, "", `/sets/${event.id}`);
    });
    this.#queue.addEventListener("pause", (event) => {
      const sentence = event.reason ? t(`drop.${event.reason}`) : "";
      if (this.pause.textContent !== sentence) this.pause.textContent = sentence;
    });
    this.#queue.addEventListener("idle", () => this.#ended());
    return this.#queue;
  }

  /** What is written about images with many bands: `bands` and `stretch`, where they are. */
  #bands() {
    const fields = [...(this.manyBands?.querySelectorAll("input") ?? [])];
    return Object.fromEntries(fields.filter((field) => field.value.trim()).map((field) => [field.name, field.value.trim()]));
  }

  // The first images make the set with its bands; those that were refused before are then sent with the same ones.
  #canNameBands() {
    return Boolean(this.manyBands) && (!this.manyBands.hidden || Object.keys(this.#bands()).length > 0);
  }

  #answered({ item, state, result }) {
    item.result = result;
    show(item, state);
    if (state !== "sending") this.#count();
    if (state === "refused" || state === "known") this.#draw();
  }

  async #sendZip(file) {
    const form = new FormData();
    form.append("archive", file, file.name);
    this.bar.hidden = false;
    this.meter.removeAttribute("value");
    this.status.textContent = t("drop.sending_zip", { file: file.name });
    announce(this.status.textContent);
    try {
      const answer = await this.#uploads().send(form);
      this.#archiveResults.push(...answer.results.filter((result) => result.status !== 201));
      for (const sentence of answer.notices) this.#notice(sentence);
    } catch (problem) {
      this.#archiveResults.push({ ...problem, file: file.name, expected: problem.expected, got: problem.got, remedy: problem.remedy });
    }
    this.#ended();
  }

  #ended() {
    if (this.#queue?.isBusy) return;
    this.bar.hidden = true;
    const isWhole = this.#items.every((item) => item.state === "kept") && !this.#archiveResults.length && !this.notices.childElementCount;
    announce(isWhole ? t("drop.all_stored") : this.#summary());
    if (!this.dataset.set && this.setId && isWhole) return location.replace(`/sets/${this.setId}`);
    if (this.dataset.set) this.#forget(this.#items.filter((item) => item.state === "kept"));
    this.#draw();
    this.#lookAtFirst();
    this.dispatchEvent(new CustomEvent("set-changed", { bubbles: true }));
  }

  /** How many images are new, and what has become of the others. */
  #summary() {
    const of = (state) => this.#items.filter((item) => item.state === state);
    const parts = [t("drop.stored", { n: of("kept").length })];
    if (of("known").length) parts.push(t("drop.known_n", { n: of("known").length }));
    const refused = Map.groupBy(of("refused"), (item) => `${item.label}\n${item.result.code}`);
    for (const items of refused.values()) parts.push(t("drop.refused_of", { n: items.length, label: items[0].label }), reason(items[0].result));
    return parts.join(" ");
  }

  #forget(items) {
    for (const item of items) URL.revokeObjectURL(item.url);
    this.#items = this.#items.filter((item) => !items.includes(item));
    this.#draw();
    if (!this.#items.length && !this.dataset.set && this.setId && !this.#queue?.isBusy) location.replace(`/sets/${this.setId}`);
  }

  #put(items, label) {
    for (const item of items) item.label = label;
    this.#send(items);
  }

  async #shrink(items) {
    for (const item of items) item.file = (await smaller(item.file)) ?? item.file;
    this.#send(items);
  }

  #notice(sentence) {
    this.notices.append(element("p", { class: "card notice" }, sentence));
  }

  #count() {
    const sent = this.#items.filter((item) => item.state !== "tray");
    const done = sent.filter((item) => ["kept", "known", "refused"].includes(item.state)).length;
    this.bar.hidden = done === sent.length;
    this.meter.max = sent.length;
    this.meter.value = done;
    this.status.textContent = t("drop.progress", { done, n: sent.length });
  }

  #draw() {
    const ways = {
      put: (items, label) => this.#put(items, label),
      remove: (items) => this.#forget(items),
      shrink: (items) => this.#shrink(items),
      canNameBands: this.#canNameBands(),
    };
    const tray = this.#items.filter((item) => item.state === "tray");
    const refused = Map.groupBy(
      this.#items.filter((item) => item.state === "refused"),
      (item) => `${item.label}\n${item.result.code}`,
    );
    const known = Map.groupBy(
      this.#items.filter((item) => item.state === "known"),
      (item) => item.label,
    );
    const classes = Map.groupBy(
      this.#items.filter((item) => ["waiting", "sending", "kept"].includes(item.state)),
      (item) => item.label,
    );
    this.known.replaceChildren(...[...this.#labels()].map((label) => element("option", { value: label })));
    this.cards.replaceChildren(
      ...(tray.length ? [trayCard(tray, ways, document.querySelector(".class[data-label]") || classes.size)] : []),
      ...this.#awayFromClasses([
        ...[...refused.values()].map((items) => [items[0].label, refusedCard(items, ways)]),
        ...[...known.values()].map((items) => [items[0].label, knownCard(items, ways)]),
      ]),
      ...(this.#archiveResults.length ? [this.#archiveCard()] : []),
      ...(this.setId && !this.dataset.set && !this.#queue?.isBusy ? [this.#goOn(tray.length + refused.size)] : []),
      ...[...classes].map(([label, items]) => this.#classCard(label, items)),
    );
    this.zone.classList.toggle("small", this.#items.length > 0 || Boolean(this.dataset.set));
    this.#count();
  }

  /** Shows cards at their classes, where the page of a set has them; returns the others. */
  #awayFromClasses(cards) {
    const places = new Map([...document.querySelectorAll("#set .class")].map((one) => [one.dataset.label, one.querySelector(".said")]));
    for (const place of places.values()) place?.replaceChildren();
    for (const [label, card] of cards) places.get(label)?.append(card);
    return cards.filter(([label]) => !places.get(label)).map(([, card]) => card);
  }

  // What happened may be off screen, such as at a class above.
  #lookAtFirst() {
    const cards = [...document.querySelectorAll("#set .said > .card"), ...this.cards.querySelectorAll(".card.problem")];
    cards[0]?.scrollIntoView({ block: "nearest" });
  }

  #classCard(label, items) {
    const heading = element("h2", {}, label);
    return element("section", { class: "card class", "data-label": label }, heading, element("ul", { class: "thumbs" }, ...items.map((item) => item.node ?? thumbnail(item))));
  }

  #archiveCard() {
    const lines = this.#archiveResults.map((result) => {
      const more = (result.count ?? 1) > 1 ? ` ${t("drop.more_files", { n: result.count - 1 })}` : "";
      return element("li", {}, element("strong", {}, `${result.file ?? result.label}${more}`), ` ${reason(result)}`);
    });
    return element("section", { class: "card problem" }, element("h2", {}, t("drop.some_refused", { n: lines.length })), element("ul", {}, ...lines));
  }

  #goOn(isIncomplete) {
    const words = isIncomplete ? t("drop.go_on_without") : t("drop.go_on");
    return element("p", {}, element("a", { class: "button large", href: `/sets/${this.setId}` }, words));
  }

  #labels() {
    const onPage = [...document.querySelectorAll("#set .class")].map((card) => card.dataset.label);
    return new Set([...onPage, ...this.#items.map((item) => item.label).filter(Boolean)]);
  }

  #build() {
    const choose = (attributes, label) => {
      const input = element("input", { type: "file", hidden: true, ...attributes });
      input.addEventListener("change", () => {
        this.add(filesOfList(input.files));
        input.value = "";
      });
      return [input, element("button", { type: "button", class: "quiet", onclick: () => input.click() }, label)];
    };
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const path = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
    for (const [key, value] of Object.entries({ d: ICON, fill: "none", stroke: "currentColor", "stroke-width": "1.6", "stroke-linecap": "round", "stroke-linejoin": "round" }))
      path.setAttribute(key, value);
    this.zone = element(
      "div",
      { class: this.dataset.set ? "zone small" : "zone" },
      svg,
      element("p", { class: "what" }, t(this.dataset.set ? "drop.lead_more" : "drop.lead")),
      element("p", { class: "hint" }, t("drop.or")),
      element(
        "div",
        { class: "row" },
        ...choose({ webkitdirectory: true }, t("drop.folder")),
        ...choose({ accept: ".zip,application/zip" }, t("drop.zip")),
        ...choose({ accept: IMAGE_FILES, multiple: true }, t("drop.images")),
        ...choose({ accept: "image/*", capture: "environment" }, t("drop.camera")),
      ),
      element("p", { class: "hint paste" }, t("drop.paste")),
    );
    this.meter = element("progress", { max: 1, "aria-label": t("drop.sending") });
    this.status = element("p", {});
    this.pause = element("p", { class: "warning", role: "status" });
    this.bar = element("div", { class: "progress-line", hidden: true }, this.status, this.meter, this.pause);
    this.notices = element("div", {});
    this.cards = element("div", { class: "uploads" });
    this.known = element("datalist", { id: "drop-labels" });
    this.manyBands = this.querySelector(".many-bands");
    this.replaceChildren(this.zone, ...(this.manyBands ? [this.manyBands] : []), this.bar, this.notices, this.cards, this.known);
  }

  #listen() {
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    const target = (event) => event.target.closest?.(".class[data-label]") ?? (this.zone.contains(event.target) || hasFiles(event) ? this.zone : null);
    const light = (lit) => {
      for (const one of document.querySelectorAll(".over")) if (one !== lit) one.classList.remove("over");
      lit?.classList.add("over");
    };
    const isOurs = (event) => hasFiles(event) || event.dataTransfer?.types.includes("text/vtt-tray");
    document.addEventListener("dragover", (event) => {
      if (!isOurs(event)) return;
      event.preventDefault();
      light(target(event));
    });
    document.addEventListener("dragleave", (event) => event.relatedTarget === null && light(null));
    document.addEventListener("drop", async (event) => {
      if (!isOurs(event)) return;
      event.preventDefault();
      const label = event.target.closest?.(".class[data-label]")?.dataset.label ?? "";
      light(null);
      const dragged = this.#items.find((item) => String(item.number) === event.dataTransfer.getData("text/vtt-tray"));
      if (dragged && label) this.#put([dragged, ...this.#items.filter((item) => item !== dragged && item.state === "tray" && dragged.box.checked && item.box.checked)], label);
      else if (!dragged) this.add(await filesOfDrop(event.dataTransfer), label);
    });
    document.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      this.add(files.map((file) => new FoundFile(file, file.name)));
    });
    // The set was drawn anew, without what is shown at its classes.
    document.addEventListener("htmx:after:swap", () => this.#draw());
    addEventListener("beforeunload", (event) => this.#queue?.isBusy && event.preventDefault());
  }
}

const clean = (label) => label.normalize("NFC").replaceAll("_", " ").split(/\s+/).filter(Boolean).join(" ");

customElements.define("drop-zone", DropZone);
