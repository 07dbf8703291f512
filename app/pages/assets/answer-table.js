// The answers for many photographs, a row each.
import { element, t } from "./page.js";
import { answerCard, others, percent, verdict } from "./answer-card.js";
import { LazyPictures } from "./picture.js";

const STEP = 100;
const pictures = new LazyPictures();

/** Returns the table of items; more than a hundred are shown as somebody asks for them. `shown` counts, and survives redrawing. */
export function answerTable(items, page, shown = { rows: STEP }) {
  const head = element("tr", {}, ...["picture", "file", "shows", "sure", "may", "more"].map((name) => element("th", { scope: "col", class: name === "sure" ? "number" : null }, t(`try.columns.${name}`))));
  const body = element("tbody", {}, ...items.slice(0, shown.rows).map((item) => row(item, page)));
  const table = element("div", { class: "table answers", tabindex: "0", role: "region", "aria-label": t("try.table") },
    element("table", {}, element("caption", { class: "unseen" }, t("try.table")), element("thead", {}, head), body));
  const more = element("button", { type: "button", class: "quiet", hidden: items.length <= shown.rows }, t("try.more_rows"));
  more.addEventListener("click", () => {
    body.append(...items.slice(shown.rows, shown.rows + STEP).map((item) => row(item, page)));
    shown.rows += STEP;
    more.hidden = items.length <= shown.rows;
  });
  return element("div", {}, table, more);
}

function row(item, page) {
  const made = element("tr");
  const draw = () => {
    const open = element("button", { type: "button", class: "quiet small", "aria-label": t("try.open_file", { file: item.path }) }, t("try.open"));
    open.addEventListener("click", () => openCard(item, page, draw));
    made.replaceChildren(
      element("td", { class: "small-picture" }, pictures.canvas(item.file, 96)),
      element("td", { class: "path" }, item.path),
      ...cells(item),
      element("td", {}, open));
  };
  draw();
  return made;
}

function cells(item) {
  const { answer, problem } = item;
  if (problem) return [element("td", { colspan: 3 }, element("span", { class: "mistake" }, t("try.not_read")), ` ${problem.got}`)];
  if (!answer) return [element("td", { colspan: 3, class: "hint" }, t("try.waiting"))];
  const shows = item.corrected ? element("span", {}, element("s", {}, verdict(answer)), " ", element("b", {}, item.corrected)) : element(answer.none_of_these ? "span" : "b", { class: answer.none_of_these ? "warning" : null }, verdict(answer));
  // How sure it is of a class that it did not answer would read like how sure it is of its answer.
  if (answer.none_of_these) return [element("td", {}, shows, element("div", { class: "hint" }, t("try.most_like", { label: answer.label }))), element("td"), element("td")];
  return [
    element("td", {}, shows),
    element("td", { class: "number" }, percent(answer.probabilities[answer.label])),
    element("td", { class: "hint" }, (others(answer) ?? []).slice(0, 4).join(", ")),
  ];
}

function openCard(item, page, closed) {
  const close = element("button", { type: "button", class: "quiet small close" }, t("try.close"));
  const dialog = element("dialog", { class: "answer-dialog", "aria-label": item.path }, close, answerCard(item, page));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    closed();
  });
  document.body.append(dialog);
  dialog.showModal();
}
