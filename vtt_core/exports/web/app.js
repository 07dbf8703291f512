// The page: takes pictures from files, a drop or the camera, and shows what the model says.
import { loadClassifier } from "./classify.js";

const SHOWN = 3;
const byId = (id) => document.getElementById(id);
const state = byId("state");
let classifier = null;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A share as people read it. */
function percent(share) {
  const rounded = Math.round(100 * share);
  return `${share < 1 && rounded === 100 ? "> 99" : share > 0 && rounded === 0 ? "< 1" : rounded}\u00a0%`;
}

/** Draws a picture on white, as the service reads it, and returns the canvas. */
function draw(source, width, height) {
  const canvas = element("canvas", { width, height, role: "img" });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0);
  return canvas;
}

async function show(name, makeCanvas) {
  const card = element("article", { class: "card" }, element("p", { class: "hint" }, name));
  byId("answers").prepend(card);
  try {
    const canvas = await makeCanvas();
    canvas.setAttribute("aria-label", name);
    const answer = await classifier.classify(canvas);
    card.prepend(canvas);
    card.append(...inWords(answer));
  } catch (error) {
    card.append(element("p", { class: "mistake" }, "This picture could not be read. Choose a JPEG, PNG or WebP file."));
    console.info(error);
  }
}

function inWords({ ranked, none }) {
  const [[label, share]] = ranked;
  const title = none ? element("h2", { class: "warning" }, "None of these") : element("h2", {}, label);
  const bars = ranked.slice(0, SHOWN).map(([name, value]) =>
    element("li", {}, element("span", {}, name), element("span", {}, percent(value)), element("progress", { max: 1, value, "aria-label": name })));
  const why = none ? [element("p", {}, `It looks like none of the classes. The likeliest would be ${label} (${percent(share)}).`)] : [];
  return [title, ...why, element("ul", { class: "bars" }, ...bars)];
}

async function take(files) {
  trouble("");
  for (const file of files) {
    await show(file.name, async () => {
      const picture = await createImageBitmap(file);
      return draw(picture, picture.width, picture.height);
    });
  }
}

function trouble(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = !text;
}

function listenToFiles() {
  for (const id of ["files", "photo"]) {
    byId(id).addEventListener("change", async (event) => {
      await take([...event.target.files]);
      event.target.value = "";
    });
  }
  const zone = byId("input");
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", kind === "dragover");
    });
  }
  document.addEventListener("drop", (event) => take([...event.dataTransfer.files]));
}

function listenToCamera() {
  const video = byId("video");
  const close = () => {
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    byId("live").hidden = true;
  };
  byId("camera").addEventListener("click", async () => {
    trouble("");
    // Without https, browsers give pages no live camera; a phone can still take a photograph with its own.
    if (!navigator.mediaDevices) return byId("photo").click();
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      byId("live").hidden = false;
      await video.play();
    } catch {
      close();
      trouble("The camera cannot be used. Allow it in the browser's settings, or take a picture from a file.");
    }
  });
  byId("shoot").addEventListener("click", () => show("Camera", async () => draw(video, video.videoWidth, video.videoHeight)));
  byId("stop").addEventListener("click", close);
}

function describe(facts) {
  byId("title").textContent = `Which of ${facts.labels.length} classes?`;
  const expected = facts.metrics.expected_accuracy;
  const rows = {
    Classes: facts.labels.join(", "),
    Accuracy: expected ? `about ${percent(expected.accuracy)} on new pictures (${percent(expected.low)} to ${percent(expected.high)})` : "not measured",
    Backbone: `${facts.base.backbone_id}, licence ${facts.base.licence}`,
  };
  for (const [term, value] of Object.entries(rows)) byId("facts").append(element("dt", {}, term), element("dd", {}, value));
  byId("about").hidden = false;
}

async function start() {
  try {
    classifier = await loadClassifier();
  } catch (error) {
    state.className = "mistake";
    state.textContent = "The model cannot be loaded. Serve this folder with a web server: python -m http.server";
    console.info(error);
    return;
  }
  describe(classifier.facts);
  listenToFiles();
  listenToCamera();
  byId("input").hidden = false;
  state.textContent = "The model is ready.";
  // So that the page opens again where there is no network. Browsers allow it on localhost and with https.
  if ("serviceWorker" in navigator) navigator.serviceWorker.register("offline.js").catch(() => {});
}

await start();
