// <try-images>: drop, choose, paste or take photographs, and see what a model says of each.
import { announce, element, t } from "./page.js";
import { answerCard } from "./answer-card.js";
import { csvOf, download } from "./answer-csv.js";
import { answerTable } from "./answer-table.js";
import { Corrections } from "./corrections.js";
import { mayBeImage, takeChosen, takeDrops } from "./picked-files.js";
import { PredictionQueue } from "./prediction-queue.js";

/** More photographs than this are shown as a table, until somebody chooses otherwise. */
const MOST_CARDS = 12;

class TryImages extends HTMLElement {
  #items = [];
  #chosen = { view: null, order: "dropped", show: "all" };
  #cards = new Map();
  #shown = { rows: 100 };

  connectedCallback() {
    this.labels = JSON.parse(this.dataset.labels);
    this.path = `/v1/models/${encodeURIComponent(this.dataset.model)}`;
    this.corrections = this.dataset.set ? new Corrections(this.dataset.set) : null;
    // A set without a class for what shows none of the others gets one with the first such correction.
    this.negative = this.dataset.negative || t("try.is_none");
    this.queue = new PredictionQueue(this.path, { changed: (items) => this.#answered(items), wait: (...told) => this.#wait(...told) });
    this.results = element("section", { class: "results", hidden: true });
    this.append(this.results);
    this.#takeForm();
    this.corrections?.restore().then(() => this.#showCorrections());
    window.addEventListener("beforeunload", (event) => this.#left() > 0 && event.preventDefault());
  }

  corrected(item) {
    this.#cards.delete(item);
    this.#showCorrections();
  }

  #takeForm() {
    const form = this.querySelector("form");
    form.addEventListener("submit", (event) => event.preventDefault());
    const coverage = form.querySelector("[name=coverage]");
    this.queue.coverage = coverage.value;
    coverage.addEventListener("change", () => this.#ask(coverage.value));
    for (const input of form.querySelectorAll("input[type=file]")) {
      takeChosen(input, (files) => {
        this.#take(files);
        input.value = "";
      });
    }
    takeDrops(form, (files) => this.#take(files));
    this.classList.add("live");
  }

  #take(files) {
    const items = files.filter(({ file }) => mayBeImage(file)).map((one) => ({ ...one, answer: null, problem: null, corrected: null }));
    if (items.length < files.length) announce(t("try.left_out", { n: files.length - items.length }));
    if (items.length === 0) return;
    this.#items.push(...items);
    this.queue.add(items);
    this.#draw();
    announce(t("try.taken", { n: items.length }));
    if (this.#items.length === items.length) this.results.scrollIntoView({ block: "nearest" });
  }

  // The promise of a set is part of the question, so all are asked again.
  #ask(coverage) {
    this.queue.clear();
    this.queue.coverage = coverage;
    for (const item of this.#items) Object.assign(item, { answer: null, problem: null });
    this.#cards.clear();
    this.queue.add(this.#items);
    if (this.#items.length > 0) this.#draw();
  }

  #left() {
    return this.#items.filter((item) => !item.answer && !item.problem).length;
  }

  #answered(items) {
    items.forEach((item) => this.#cards.delete(item));
    this.#draw();
    if (this.#left() === 0) announce(this.#summary());
  }

  #wait(seconds, isAway) {
    this.pause = seconds === 0 ? null : isAway ? t("try.away") : t("try.busy", { n: Math.round(seconds) });
    this.#showProgress();
  }

  #draw() {
    this.results.hidden = this.#items.length === 0;
    if (!this.progress) this.#build();
    this.#showProgress();
    this.#fillShow();
    const items = this.#sorted();
    const isTable = this.#isTable();
    this.list.replaceChildren(isTable ? answerTable(items, this, this.#shown) : element("div", { class: "answers-grid" }, ...items.map((item) => this.#card(item))));
    this.viewButtons.forEach((button) => button.setAttribute("aria-pressed", String((button.value === "table") === isTable)));
  }

  #isTable() {
    return this.#chosen.view === null ? this.#items.length > MOST_CARDS : this.#chosen.view === "table";
  }

  #card(item) {
    if (!this.#cards.has(item)) this.#cards.set(item, answerCard(item, this));
    return this.#cards.get(item);
  }

  #build() {
    this.progress = element("progress", { max: "1", "aria-label": t("try.progress") });
    this.told = element("p", {});
    this.list = element("div", {});
    this.viewButtons = ["cards", "table"].map((view) => element("button", { type: "button", class: "quiet small", value: view, onclick: () => this.#choose({ view }) }, t(`try.views.${view}`)));
    const order = select("order", ["dropped", "unsure", "class"].map((value) => [value, t(`try.orders.${value}`)]), (value) => this.#choose({ order: value }));
    this.show = select("show", [], (value) => this.#choose({ show: value }));
    this.results.append(
      element("h2", {}, t("try.answers")), this.told, this.progress,
      element("div", { class: "row spread tools" },
        element("div", { class: "row" }, labelled(t("try.order"), order), labelled(t("try.show"), this.show)),
        element("div", { class: "row" }, element("div", { class: "row tight", role: "group", "aria-label": t("try.view") }, ...this.viewButtons),
          element("button", { type: "button", class: "quiet small", onclick: () => download(`${this.dataset.name || this.dataset.model}.csv`, csvOf(this.#items, this.labels)) }, t("try.csv")),
          element("button", { type: "button", class: "quiet small", onclick: () => this.#clear() }, t("try.clear")))),
      this.list);
    this.#showCorrections();
  }

  #choose(change) {
    Object.assign(this.#chosen, change);
    this.#shown = { rows: 100 };
    this.#draw();
  }

  #clear() {
    this.queue.clear();
    this.#items = [];
    this.#cards.clear();
    this.results.hidden = true;
    this.querySelector("input[type=file]").focus();
  }

  #sorted() {
    const { order, show } = this.#chosen;
    const kept = this.#items.filter((item) => show === "all" || groupOf(item) === show);
    const sure = ({ answer }) => answer?.probabilities[answer.label] ?? 2;
    if (order === "unsure") kept.sort((one, other) => sure(one) - sure(other));
    if (order === "class") kept.sort((one, other) => groupOf(one).localeCompare(groupOf(other)) || sure(other) - sure(one));
    return kept;
  }

  #fillShow() {
    const counts = new Map();
    for (const item of this.#items) counts.set(groupOf(item), (counts.get(groupOf(item)) ?? 0) + 1);
    if (!counts.has(this.#chosen.show)) this.#chosen.show = "all";
    const groups = [...counts].sort((one, other) => other[1] - one[1]).map(([group, n]) => [group, t("try.group", { group: nameOf(group), n })]);
    fill(this.show, [["all", t("try.all", { n: this.#items.length })], ...groups], this.#chosen.show);
  }

  #showProgress() {
    const left = this.#left();
    this.progress.hidden = left === 0;
    this.progress.value = 1 - left / this.#items.length;
    this.told.textContent = this.pause ?? (left > 0 ? t("try.asking", { done: this.#items.length - left, n: this.#items.length }) : this.#summary());
  }

  #summary() {
    const answers = this.#items.map((item) => item.answer).filter(Boolean);
    const unlike = answers.filter((answer) => answer.none_of_these).length;
    const parts = [t("try.answered", { n: answers.length })];
    if (unlike > 0) parts.push(t("try.unlike_count", { n: unlike }));
    if (answers.length < this.#items.length) parts.push(t("try.unread_count", { n: this.#items.length - answers.length }));
    if (answers.length > 0 && answers[0].prediction_set === null) parts.push(t("try.no_sets"));
    return parts.join(" ");
  }

  #showCorrections() {
    const count = this.corrections?.count ?? 0;
    this.notice ??= this.appendChild(element("section", { class: "card good corrections", hidden: true }));
    this.notice.hidden = count === 0;
    if (count === 0) return;
    const copy = this.corrections.copyId;
    this.notice.replaceChildren(
      element("div", {}, element("h2", {}, t("try.corrections", { n: count })), element("p", { class: "hint" }, t("try.corrections_help"))),
      element("div", { class: "row" }, element("a", { class: "button", href: `/sets/${copy}/start` }, t("try.train_again")), element("a", { href: `/sets/${copy}` }, t("try.see_copy"))));
  }
}

const groupOf = ({ answer, problem }) => (problem ? "\u0001unread" : !answer ? "\u0001waiting" : answer.none_of_these ? "\u0001none" : answer.label);
const nameOf = (group) => (group.startsWith("\u0001") ? t(`try.groups.${group.slice(1)}`) : group);

function select(name, options, chosen) {
  const made = element("select", { name, id: `try-${name}`, onchange: () => chosen(made.value) });
  fill(made, options);
  return made;
}

function fill(select_, options, value = select_.value) {
  select_.replaceChildren(...options.map(([name, label]) => element("option", { value: name, selected: name === value }, label)));
}

const labelled = (label, input) => element("label", { class: "inline", for: input.id }, label, input);

customElements.define("try-images", TryImages);
