// <compare-images>: drop a folder per class, or a zip, and let two models look at the same photographs.
import { Problem, announce, fieldOf, t } from "./page.js";
import { patiently } from "./patient-api.js";
import { chosenFiles, takeDrops } from "./picked-files.js";

class CompareImages extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.told = this.querySelector(".told");
    this.classList.add("live");
    const [folder, archive] = ["#folder", "#archive"].map((id) => this.querySelector(id));
    folder.addEventListener("change", () => this.#measure(chosenFiles(folder)));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    archive.addEventListener("change", () => this.#measure(chosenFiles(archive)));
    takeDrops(this.form, (files) => this.#measure(files));
  }

  async #measure(files) {
    if (this.isBusy || files.length === 0) return;
    const form = new FormData();
    const zip = files.find(({ file }) => /\.zip$/i.test(file.name));
    const images = zip ? [] : files.map(({ file, path }) => ({ file, path: path.split("/") })).filter(({ file, path }) => path.length > 1 && /^image\/|^$/.test(file.type));
    if (!zip && images.length === 0) return this.#tell(t("compare.none"), true);
    const most = Number(this.dataset.most);
    if (images.length > most) return this.#tell(t("compare.too_many", { n: images.length, most }), true);
    if (zip) form.append("archive", zip.file, zip.file.name);
    // The class is the folder that an image is in, whatever folders are around it.
    for (const { file, path } of images) form.append(fieldOf(path.at(-2)), file, path.slice(-2).join("/"));
    await this.#send(form, zip ? t("compare.sending", { name: zip.file.name }) : t("compare.measuring", { n: images.length }), zip?.file.name ?? images[0].path[0]);
  }

  async #send(form, told, fallback) {
    this.isBusy = true;
    this.#tell(told);
    const { one, other } = this.dataset;
    const models = new URLSearchParams([["model", one], ["model", other]]);
    const asked = new URLSearchParams([...models, ["name", this.querySelector("[name=name]").value || fallback]]);
    try {
      const waited = (seconds, isAway) => this.#tell(seconds === 0 ? told : isAway ? t("try.away") : t("try.busy", { n: seconds }));
      const { evaluations } = await patiently(`/v1/evaluations?${asked}`, { method: "POST", form }, waited);
      models.append("evaluation", evaluations.at(-1).id);
      location.assign(`/models/compare?${models}#result`);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.#tell(t("compare.failed", { ...problem, remedy: problem.remedy }), true);
    } finally {
      this.isBusy = false;
    }
  }

  #tell(sentence, isMistake = false) {
    this.told.textContent = sentence;
    this.told.classList.toggle("mistake", isMistake);
    announce(sentence);
  }
}

customElements.define("compare-images", CompareImages);
