// Shows the images that are on their way: those without a class in a tray, the others by class, and what was refused.
import { element, t } from "./page.js";

const MARKS = { kept: "✓", known: "=", refused: "!", waiting: "…", sending: "…", tray: "" };
const LABEL_CODES = /^support_set\./;
const SMALL_BYTES = 1e6; // an image of fewer is not too large but too small
const SIZE_CODES = new Set(["image.too_many_bytes", "image.bad_dimensions"]);

/** The picture of one image, with a mark that says what has become of it. */
export function thumbnail(item) {
  const picture = element("img", { src: item.url, alt: "", width: 128, height: 128, loading: "lazy", decoding: "async" });
  picture.addEventListener("error", () => picture.replaceWith(element("span", { class: "no-picture" }, t("drop.unreadable"))));
  item.mark = element("span", { class: "mark" });
  item.node = element("li", { class: "thumb" }, picture, item.mark, element("span", { class: "name", title: item.file.name }, item.file.name));
  show(item, item.state);
  return item.node;
}

/** Shows another state of an image. */
export function show(item, state) {
  item.state = state;
  if (!item.node) return;
  item.node.className = `thumb ${state}`;
  item.mark.replaceChildren(element("span", { "aria-hidden": "true" }, MARKS[state]), element("span", { class: "unseen" }, t(`drop.${state}`)));
}

/** The images that nobody has named a class for; `put(items, label)` gives them one, `remove(items)` leaves them out. */
export function trayCard(items, { put, remove }, hasClasses) {
  const boxes = items.map((item) => {
    item.box = element("input", { type: "checkbox", "aria-label": item.file.name });
    item.box.checked = true;
    const node = thumbnail(item);
    node.draggable = true;
    node.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/vtt-tray", String(item.number)));
    node.prepend(element("label", { class: "pick" }, item.box, node.firstChild));
    item.mark.remove();
    return node;
  });
  const chosen = () => items.filter((item) => item.box.checked);
  const mistake = element("p", { class: "mistake", role: "alert" });
  const name = element("input", { list: "drop-labels", maxlength: 100, placeholder: t("drop.new_class"), autocomplete: "off", id: "tray-label" });
  const act = (event) => {
    event.preventDefault();
    mistake.textContent = !chosen().length ? t("drop.none_chosen") : !name.value.trim() ? t("drop.no_name") : "";
    if (!mistake.textContent) put(chosen(), name.value.trim());
  };
  const toggle = () => {
    const isOn = !chosen().length;
    for (const item of items) item.box.checked = isOn;
  };
  return element(
    "section",
    { class: "card notice" },
    element("h2", {}, t("drop.tray", { n: items.length })),
    element("p", { class: "hint" }, t(hasClasses ? "drop.tray_what" : "drop.tray_what_first")),
    element("ul", { class: "thumbs" }, ...boxes),
    element(
      "form",
      { class: "mend", onsubmit: act },
      element("div", {}, element("label", { for: "tray-label" }, t("drop.class_name")), name),
      element("button", {}, t("drop.put")),
      element("button", { type: "button", class: "quiet", onclick: toggle }, t("drop.choose_none")),
      element("button", { type: "button", class: "quiet", onclick: () => remove(chosen()) }, t("drop.remove")),
    ),
    mistake,
  );
}

/** The images of one class that were refused for one cause, with the ways to mend that. */
export function refusedCard(items, { put, remove, shrink, canNameBands }) {
  const [{ result, label }] = items;
  const isOfLabel = LABEL_CODES.test(result.code ?? "");
  const id = `again-${items[0].number}`;
  const name = element("input", { id, value: label, list: "drop-labels", maxlength: 100, autocomplete: "off" });
  const again = (event) => {
    event.preventDefault();
    if (name.value.trim()) put(items, name.value.trim());
  };
  // An image of many bands can be sent again once they are named.
  const canMend = isOfLabel || !result.code?.startsWith("image.") || (result.code === "image.unsupported_kind" && canNameBands);
  return element(
    "section",
    { class: "card problem" },
    element("h2", {}, t("drop.refused_of", { n: items.length, label })),
    element("p", {}, reason(result)),
    element("ul", { class: "thumbs" }, ...items.map(thumbnail)),
    element(
      "form",
      { class: "mend", onsubmit: again },
      canMend ? element("div", {}, element("label", { for: id }, t("drop.class_name")), name) : null,
      canMend ? element("button", {}, t("drop.again")) : null,
      SIZE_CODES.has(result.code) && items.some((item) => item.file.size > SMALL_BYTES) ? element("button", { type: "button", onclick: () => shrink(items) }, t("drop.smaller")) : null,
      element("button", { type: "button", class: "quiet", onclick: () => remove(items) }, t("drop.remove")),
    ),
  );
}

/** The images of one class that the set has already; `remove(items)` closes the card. */
export function knownCard(items, { remove }) {
  return element(
    "section",
    { class: "card notice" },
    element("p", {}, t("drop.known_of", { n: items.length, label: items[0].label })),
    element("ul", { class: "thumbs" }, ...items.map(thumbnail)),
    element("p", {}, element("button", { type: "button", class: "quiet", onclick: () => remove(items) }, t("drop.close"))),
  );
}

/** What is wrong, in plain words where there are some. */
export function reason(result) {
  try {
    return t(`refusals.${result.code}`);
  } catch {
    return t("drop.reason", { expected: result.expected, got: result.got, remedy: result.remedy });
  }
}

/** A smaller copy of an image, as a JPEG; null where the browser cannot read it. */
export async function smaller(file, longestSide = 2048) {
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return null;
  const factor = Math.min(1, longestSide / Math.max(picture.width, picture.height));
  const canvas = element("canvas", { width: Math.round(picture.width * factor), height: Math.round(picture.height * factor) });
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  return blob && new File([blob], file.name.replace(/\.\w+$/, "") + ".jpg", { type: "image/jpeg" });
}
