// <set-editor>: lets images of a set be dragged to other classes, and shows what is noticed about them.
import { announce, api, element, htmx, t } from "./page.js";
import { filesOfList } from "./dropped-files.js";
import { IMAGE_FILES } from "./picked-files.js";
import { patiently } from "./patient-api.js";

const PAUSE = 700;
const LONGEST_WAIT = 5 * 60e3;

class SetEditor extends HTMLElement {
  #timer = 0;
  #request = 0;
  #focus = "";

  connectedCallback() {
    this.path = `/v1/support-sets/${this.dataset.set}`;
    this.#prepare();
    document.addEventListener("htmx:after:swap", () => {
      // Images that were moved keep their boxes, and their check marks with them.
      if (!this.querySelector("#set .mistake")) for (const box of this.querySelectorAll("#set [name=image]")) box.checked = false;
      this.#prepare();
      this.#returnFocus();
    });
    this.addEventListener("submit", (event) => this.#rememberFocus(event.target));
    this.addEventListener("click", (event) => this.#openName(event));
    for (const details of this.querySelectorAll(".rename[open]")) this.#chooseName(details); // opened before this script was here
    this.addEventListener("set-changed", () => this.refresh());
    if (this.dataset.frozen === undefined) this.#letDrag();
    this.addEventListener("click", (event) => this.#addTo(event.target.closest("[data-add]")?.dataset.add));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.#close());
  }

  /** Shows the set as it is now. */
  refresh() {
    return htmx.ajax("GET", location.pathname, { target: "#set", select: "#set", swap: "outerMorph" });
  }

  #prepare() {
    this.querySelector("#start-below").hidden = !this.querySelector("#set .start");
    for (const tile of this.querySelectorAll(".thumb.add")) tile.hidden = false;
    for (const picture of this.querySelectorAll("#set .thumb img")) picture.draggable = false;
    for (const thumb of this.querySelectorAll("#set .thumb[id]")) thumb.draggable = this.dataset.frozen === undefined;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#report(), PAUSE);
  }

  #close() {
    const open = this.querySelector("details.confirm[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  }

  // The browser opens details and tells of it later ("toggle"): what is typed until then would be lost.
  #openName(event) {
    const details = event.target.closest(".rename:not([open]) > summary")?.parentElement;
    if (!details) return;
    event.preventDefault();
    details.open = true;
    this.#chooseName(details);
  }

  #chooseName(details) {
    const field = details.querySelector("input:not([type=hidden])");
    field.focus();
    field.select();
  }

  // A change closes its form, so the focus goes to the heading of what was changed.
  #rememberFocus(form) {
    if (form.closest("details.confirm")) this.#focus = form.closest(".class")?.querySelector("h2").id ?? "set-title";
  }

  #returnFocus() {
    const heading = document.getElementById(this.#focus) ?? (this.#focus ? document.getElementById("set-title") : null);
    this.#focus = "";
    if (!this.querySelector("#set .mistake")) heading?.focus({ preventScroll: true });
  }

  #addTo(label) {
    if (label === undefined) return;
    const input = element("input", { type: "file", accept: IMAGE_FILES, multiple: true });
    input.addEventListener("change", () => this.querySelector("drop-zone").add(filesOfList(input.files), label));
    input.click();
  }

  #letDrag() {
    this.addEventListener("dragstart", (event) => {
      const thumb = event.target.closest?.("#set .thumb[id]");
      if (!thumb) return;
      const chosen = [...this.querySelectorAll("#set .thumb:has(:checked)")];
      this.dragged = chosen.includes(thumb) ? chosen : [thumb];
      for (const one of this.dragged) one.classList.add("dragged");
      event.dataTransfer.setData("text/vtt-image", thumb.id);
      event.dataTransfer.effectAllowed = "move";
    });
    this.addEventListener("dragend", () => {
      for (const one of this.querySelectorAll(".dragged, .over")) one.classList.remove("dragged", "over");
    });
    this.addEventListener("dragover", (event) => {
      const card = event.target.closest?.("#set .class");
      if (!event.dataTransfer.types.includes("text/vtt-image")) return;
      for (const one of this.querySelectorAll(".over")) one.classList.toggle("over", one === card);
      card?.classList.add("over");
      if (card) event.preventDefault();
    });
    this.addEventListener("drop", (event) => {
      const card = event.target.closest?.("#set .class");
      if (card && event.dataTransfer.types.includes("text/vtt-image")) {
        event.preventDefault();
        this.#move(this.dragged.map((one) => one.id), card.dataset.label);
      }
    });
  }

  async #move(ids, label) {
    try {
      for (const id of ids) await api(`${this.path}/images/${id}`, { method: "PATCH", json: { label } });
      announce(t("findings.moved", { label }));
    } catch (problem) {
      this.#say(element("p", { class: "mistake", role: "alert" }, problem.message));
    }
    await this.refresh();
  }

  async #report() {
    if (this.dataset.reports === undefined || Number(this.querySelector("#set").dataset.way) < 2) return this.#say();
    const request = (this.#request += 1);
    if (!this.querySelector("#findings").childElementCount) this.#say(element("p", { class: "hint" }, t("findings.looking")));
    try {
      const end = Date.now() + LONGEST_WAIT;
      const mayWait = () => request === this.#request && this.isConnected && Date.now() < end;
      const report = await patiently(`${this.path}/report`, { method: "POST" }, (wait, isAway, code) => this.#waits(request, wait, isAway, code), mayWait);
      if (request === this.#request) this.#showReport(report);
    } catch {
      if (request === this.#request) this.#say(element("p", { class: "hint" }, t("findings.failed")));
    }
  }

  #waits(request, wait, isAway, code) {
    if (!wait || request !== this.#request) return;
    const words = t(isAway ? "findings.away" : code === "predictions.not_ready" ? "findings.getting_ready" : "findings.busy");
    if (this.querySelector("#findings").textContent === words) return;
    this.#say(element("p", { class: "hint" }, words));
    announce(words);
  }

  #showReport(report) {
    for (const thumb of this.querySelectorAll(".thumb.marked")) thumb.classList.remove("marked");
    const lines = report.findings.map((finding) => {
      const ids = finding.images.map((name) => report.image_ids[name]).filter(Boolean);
      const thumbs = ids.map((id) => document.getElementById(id)).filter(Boolean);
      if (finding.severity === "problem" || /^(copies|labels|groups)\./.test(finding.kind)) for (const thumb of thumbs) thumb.classList.add("marked");
      const pictures = thumbs.slice(0, 8).map((thumb) => {
        const src = thumb.querySelector("img")?.src;
        const name = thumb.querySelector(".name").textContent.trim();
        return element("a", { href: `#${thumb.id}` }, element("img", { src, alt: name, width: 48, height: 48 }));
      });
      const sign = element("span", {}, element("span", { "aria-hidden": "true" }, finding.severity === "problem" ? "!" : "i"), element("span", { class: "unseen" }, t(`findings.${finding.severity}`)));
      return element("li", { class: finding.severity }, sign, element("p", {}, finding.sentence), pictures.length ? element("div", { class: "about" }, ...pictures) : null);
    });
    const held = report.held_out;
    const accuracy = held && t("findings.accuracy", { accuracy: Math.round(100 * held.accuracy), half: Math.round(100 * held.half_width) });
    this.#say(
      element(
        "section",
        { class: "card findings" },
        element("h2", {}, t("findings.title")),
        lines.length ? element("ul", {}, ...lines) : element("p", {}, t("findings.nothing")),
        accuracy ? element("p", { class: "hint" }, accuracy) : null,
      ),
    );
    announce(report.findings.length ? `${t("findings.title")}: ${report.findings.map((one) => one.sentence).join(" ")}` : t("findings.nothing"));
  }

  #say(...what) {
    this.querySelector("#findings").replaceChildren(...what);
  }
}

customElements.define("set-editor", SetEditor);
