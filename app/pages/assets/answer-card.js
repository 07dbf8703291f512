// The answer for one photograph: the picture, what it shows, and what can be done about it.
import { Problem, announce, element, t } from "./page.js";
import { attentionView } from "./attention-view.js";
import { drawFile } from "./picture.js";

const SHOWN_BARS = 3;

/** A share as people read it. */
export function percent(share) {
  const rounded = Math.round(100 * share);
  return `${share < 1 && rounded === 100 ? "> 99" : share > 0 && rounded === 0 ? "< 1" : rounded}\u00a0%`;
}

/** What an answer says in one word or two. */
export const verdict = (answer) => (answer.none_of_these ? t("try.none_of_these") : answer.label);

/** The classes besides the likeliest that an image may be of; null where the model cannot tell. */
export const others = (answer) => answer.prediction_set?.filter((label) => label !== answer.label) ?? null;

/** Returns the card of an item. `page` has the `path` of the model, its labels, and its `corrections`. */
export function answerCard(item, page) {
  const canvas = element("canvas", { width: 480, height: 360, role: "img", "aria-label": item.path });
  drawFile(canvas, item.file);
  const frame = element("div", { class: "frame" }, canvas);
  const card = element("article", { class: "card answer" },
    element("div", { class: "picture", "data-unseen": t("try.no_preview") }, frame),
    element("p", { class: "file hint", title: item.path }, item.path));
  card.append(...(item.answer ? answered(item, page, frame) : item.problem ? refused(item.problem) : [waiting()]));
  return card;
}

const waiting = () => element("p", { class: "hint" }, t("try.waiting"));

const refused = (problem) => [
  element("h3", { class: "mistake" }, t("try.not_read")),
  element("p", {}, t("try.refused", problem)),
  element("p", { class: "hint" }, `${problem.remedy}.`),
];

function answered(item, page, frame) {
  const { answer } = item;
  const sure = answer.probabilities[answer.label];
  return [
    element("h3", { class: answer.none_of_these ? "verdict warning" : "verdict" }, verdict(answer)),
    element("p", {}, ...sentence(answer, sure)),
    bars(answer),
    element("div", { class: "actions" }, correction(item, page), attentionView(item, page.path, frame)),
  ];
}

function sentence(answer, sure) {
  if (answer.none_of_these) return [t("try.unlike", { label: answer.label, percent: percent(sure) })];
  const may = others(answer);
  if (may === null) return [t("try.sure", { percent: percent(sure) })];
  if (may.length === 0) return [t("try.sure_alone", { percent: percent(sure) })];
  return [t("try.sure_or", { percent: percent(sure), labels: listed(may) })];
}

const listed = (labels) => (labels.length > 4 ? t("try.many_classes", { first: labels.slice(0, 3).join(", "), n: labels.length - 3 }) : new Intl.ListFormat("en", { type: "disjunction" }).format(labels));

function bars(answer) {
  const all = Object.entries(answer.probabilities).map(([label, share]) => bar(label, share));
  const first = element("ul", { class: "bars" }, ...all.slice(0, SHOWN_BARS));
  if (all.length <= SHOWN_BARS) return first;
  const rest = element("details", {}, element("summary", {}, t("try.other_classes", { n: all.length - SHOWN_BARS })), element("ul", { class: "bars" }, ...all.slice(SHOWN_BARS)));
  return element("div", {}, first, rest);
}

function bar(label, share) {
  const fill = element("i");
  fill.style.width = `${Math.max(0.5, 100 * share)}%`;
  return element("li", {}, element("span", { class: "label" }, label), element("b", {}, percent(share)), element("span", { class: "track", "aria-hidden": "true" }, fill));
}

function correction(item, page) {
  const place = element("div", { class: "correction" });
  if (page.corrections === null) return place;
  if (item.corrected) place.append(corrected(item, page, place));
  else place.append(choices(item, page, place));
  return place;
}

function choices(item, page, place) {
  const labels = page.labels.filter((label) => label !== item.answer.label || item.answer.none_of_these);
  const folded = element("details", { class: "choices" }, element("summary", { class: "button quiet small" }, t("try.no_it_is")));
  const buttons = labels.map((label) => element("button", { type: "button", class: "quiet small", onclick: () => correct(label) }, label));
  const isClass = page.labels.some((label) => label.toLowerCase() === page.negative.toLowerCase());
  if (!item.answer.none_of_these && !isClass) buttons.push(element("button", { type: "button", class: "quiet small", onclick: () => correct(page.negative, true) }, t("try.is_none")));
  folded.append(element("div", { class: "row", role: "group", "aria-label": t("try.right_class") }, ...buttons));
  async function correct(label, isNegative = false) {
    buttons.forEach((button) => (button.disabled = true));
    try {
      item.imageId = await page.corrections.add(item.file, label, isNegative);
      item.corrected = label;
      place.replaceChildren(corrected(item, page, place));
      place.querySelector("button").focus();
      announce(t("try.corrected", { label }));
      page.corrected(item);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      folded.append(element("p", { class: "mistake" }, t("try.not_corrected", problem)));
      buttons.forEach((button) => (button.disabled = false));
    }
  }
  return folded;
}

function corrected(item, page, place) {
  const undo = element("button", { type: "button", class: "quiet small" }, t("try.undo"));
  undo.addEventListener("click", async () => {
    undo.disabled = true;
    await page.corrections.remove(item.imageId);
    Object.assign(item, { corrected: null, imageId: null });
    place.replaceChildren(choices(item, page, place));
    place.querySelector("summary").focus();
    page.corrected(item);
  });
  return element("p", { class: "row done" }, element("span", {}, t("try.corrected", { label: item.corrected })), undo);
}
