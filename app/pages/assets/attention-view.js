// Where the model looked in a photograph: asked for when somebody wants to see it.
import { Problem, announce, element, t } from "./page.js";
import { patiently } from "./patient-api.js";
import { drawShade, inWords, movedShare } from "./picture.js";

/** Adds the button to a card, and the shade to its picture. */
export function attentionView(item, path, frame) {
  const place = element("div", { class: "looked" });
  const button = element("button", { type: "button", class: "quiet small" }, t("try.looked.ask"));
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.textContent = t("try.looked.asking");
    try {
      const form = new FormData();
      form.append("images", item.file, item.file.name);
      item.looked ??= await patiently(`${path}/attention`, { method: "POST", form });
      place.replaceChildren(controls(item.looked, frame));
      place.querySelector("input:checked").focus();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      place.replaceChildren(element("p", { class: "mistake" }, `${problem.got || problem.message}. ${problem.remedy}`));
    }
  });
  place.append(button);
  return place;
}

function controls(looked, frame) {
  const shade = element("canvas", { class: "shade", "aria-hidden": "true" });
  frame.append(shade);
  const strength = element("input", { type: "range", min: "0", max: "1", step: "0.05", value: "0.9" });
  const words = element("p", { class: "hint" });
  let chosen = "after";
  const draw = () => {
    shade.hidden = chosen === "none";
    if (chosen !== "none") drawShade(shade, looked[chosen], Number(strength.value));
    words.textContent = said(looked, chosen);
  };
  strength.addEventListener("input", draw);
  const name = `looked-${(count += 1)}`;
  const choice = (value, label) => {
    const input = element("input", { type: "radio", name, value, checked: value === chosen });
    input.addEventListener("change", () => {
      chosen = value;
      draw();
      announce(words.textContent);
    });
    return element("label", { class: "inline" }, input, label);
  };
  const choices = [choice("none", t("try.looked.none"))];
  if (looked.is_tuned) choices.push(choice("before", t("try.looked.before")), choice("after", t("try.looked.after")));
  else choices.push(choice("after", t("try.looked.only")));
  draw();
  return element("fieldset", {},
    element("legend", {}, t("try.looked.title")),
    element("div", { class: "row" }, ...choices),
    element("label", { class: "inline strength" }, t("try.looked.strength"), strength),
    words);
}

let count = 0;

function said(looked, chosen) {
  if (chosen === "none") return t("try.looked.help");
  if (!looked.is_tuned) return `${t("try.looked.said.only", { parts: inWords(looked.after) })} ${t("try.looked.same")}`;
  const moved = t("try.looked.moved", { percent: Math.round(100 * movedShare(looked.before, looked.after)) });
  return `${t(`try.looked.said.${chosen}`, { parts: inWords(looked[chosen]) })} ${moved}`;
}
