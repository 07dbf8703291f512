// <compare-images>: drop a folder per class, or a zip, and let one model, or two, look at the photographs.
import { Problem, announce, fieldOf, t } from "./page.js";
import { patiently } from "./patient-api.js";
import { mayBeImage, takeChosen, takeDrops } from "./picked-files.js";

const MOST_NAMED = 8;
const listed = (names) => [...names.slice(0, MOST_NAMED), ...(names.length > MOST_NAMED ? [t("compare.more_names", { n: names.length - MOST_NAMED })] : [])].join(", ");

class CompareImages extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.told = this.querySelector(".told");
    this.classList.add("live");
    this.models = JSON.parse(this.dataset.models);
    this.form.addEventListener("submit", (event) => event.preventDefault());
    for (const input of this.querySelectorAll("#folder, #archive")) takeChosen(input, (files) => this.#measure(files));
    takeDrops(this.form, (files) => this.#measure(files));
  }

  async #measure(files) {
    if (this.isBusy || files.length === 0) return;
    const form = new FormData();
    const zip = files.find(({ file }) => /\.zip$/i.test(file.name));
    const images = zip ? [] : files.map(({ file, path }) => ({ file, path: path.split("/") })).filter(({ file, path }) => path.length > 1 && mayBeImage(file));
    if (!zip && images.length === 0) return this.#tell(t("compare.none"), true);
    const most = Number(this.dataset.most);
    if (images.length > most) return this.#tell(t("compare.too_many", { n: images.length, most }), true);
    if (zip) form.append("archive", zip.file, zip.file.name);
    // The class is the folder that an image is in, whatever folders are around it.
    for (const { file, path } of images) form.append(fieldOf(path.at(-2)), file, path.slice(-2).join("/"));
    const folders = [...new Set(images.map(({ path }) => path.at(-2)))];
    await this.#send(form, zip ? t("compare.sending", { name: zip.file.name }) : t("compare.measuring", { n: images.length }), zip?.file.name ?? images[0].path[0], folders);
  }

  async #send(form, told, fallback, folders) {
    this.isBusy = true;
    this.#tell(told);
    const name = this.querySelector("[name=name]").value || fallback;
    const models = new URLSearchParams(this.models.map((model) => ["model", model]));
    const isOne = this.models.length === 1;
    const asked = isOne ? `/v1/models/${encodeURIComponent(this.models[0])}/evaluations?${new URLSearchParams({ name })}` : `/v1/evaluations?${new URLSearchParams([...models, ["name", name]])}`;
    try {
      const waited = (seconds, isAway) => this.#tell(seconds === 0 ? told : isAway ? t("try.away") : t("try.busy", { n: seconds }));
      const { evaluations } = await patiently(asked, { method: "POST", form }, waited);
      models.append("evaluation", evaluations.at(-1).id);
      location.assign(`/models/${isOne ? "measure" : "compare"}?${models}#result`);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.#tell(problem.code === "evaluation.unknown_classes" ? this.#wrongFolders(problem, folders) : t("compare.failed", { ...problem, remedy: problem.remedy }), true);
    } finally {
      this.isBusy = false;
    }
  }

  // The service reads the folders of a zip, so it alone can name them.
  #wrongFolders({ got }, folders) {
    const found = folders.length > 0 ? listed(folders) : got.replace(/^images of /, "").replaceAll("'", "");
    return t("compare.wrong_folders", { found, labels: listed(JSON.parse(this.dataset.labels)) });
  }

  #tell(sentence, isMistake = false) {
    this.told.textContent = sentence;
    this.told.classList.toggle("mistake", isMistake);
    announce(sentence);
  }
}

customElements.define("compare-images", CompareImages);
