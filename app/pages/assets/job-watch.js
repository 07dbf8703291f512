// <job-watch>: follows a job by its events, from its beginning, and shows them in the parts that the page already has.
import { announce, api, Problem, t } from "./page.js";
import { drawLine } from "./line-chart.js";

const FINAL = ["succeeded", "failed", "cancelled"];
const CHARTS = ["classification_loss", "absorption_loss", "conflict_cosine"];
const RETRY_MS = 3000, PLACE_MS = 4000, PATIENCE_MS = 1500, DONE_MS = 900, QUIET_MS = 1500;

/** A time in its largest unit, as the page says it too. */
function duration(seconds) {
  for (const [size, unit] of [[3600, "hours"], [60, "minutes"]])
    if (seconds >= 0.95 * size) return t(`watch.time.${unit}`, { n: Math.round(seconds / size) });
  return t("watch.time.seconds", { n: Math.max(1, Math.round(seconds)) });
}

class JobWatch extends HTMLElement {
  connectedCallback() {
    this.id_ = this.getAttribute("job");
    this.wasOver = FINAL.includes(this.getAttribute("state"));
    this.job = { state: this.getAttribute("state"), attempt: 0, latest: null };
    this.charts = Object.fromEntries(CHARTS.map((name) => [name, this.querySelector(`[data-chart=${name}]`)]));
    this.pageTitle = document.title;
    this.quietUntil = performance.now() + QUIET_MS;
    this.forget();
    this.follow();
    if (!this.wasOver) this.placeTimer = setInterval(() => this.askPlace(), PLACE_MS);
    this.stop = () => this.events?.close();
    addEventListener("pagehide", this.stop);
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  disconnectedCallback() {
    this.stop();
    clearInterval(this.placeTimer);
    clearTimeout(this.retryTimer);
  }

  part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  forget() {
    this.points = [];
    this.marks = [];
    this.wasAbsorbing = null;
  }

  // The browser connects again by itself and says which event it had last. Only after a refusal it gives up, and we begin anew.
  follow() {
    this.events?.close();
    const events = new EventSource(`/v1/jobs/${this.id_}/events`);
    this.events = events;
    for (const kind of ["state", "progress", "interim_model"])
      events.addEventListener(kind, ({ data }) => this.take(kind, JSON.parse(data)));
    events.onopen = () => this.showOffline(false);
    events.onerror = () => {
      this.showOffline(true);
      if (events.readyState === EventSource.CLOSED) this.retryTimer = setTimeout(() => this.tryAgain(), RETRY_MS);
    };
  }

  async tryAgain() {
    try {
      await api(`/v1/jobs/${this.id_}`); // goes to the sign-in where that has ended
    } catch (error) {
      if (error instanceof Problem && [404, 410].includes(error.status)) return location.reload();
    }
    this.forget();
    this.follow();
  }

  showOffline(isOffline) {
    clearTimeout(this.offlineTimer);
    const notice = this.part("offline");
    if (!notice) return;
    if (isOffline) this.offlineTimer = setTimeout(() => (notice.hidden = false), PATIENCE_MS);
    else notice.hidden = true;
  }

  take(kind, payload) {
    if (kind === "progress") this.addStep(payload);
    else if (kind === "interim_model") this.showInterim(payload.interim_model_id);
    else {
      this.job.state = payload.state;
      this.job.attempt = payload.attempt;
      if (FINAL.includes(payload.state)) return this.end(payload);
    }
    this.queueDrawing();
  }

  addStep(report) {
    const isBack = (point) => point.step >= report.step; // another attempt goes on from an earlier step
    while (this.points.length && isBack(this.points.at(-1))) this.points.pop();
    this.marks = this.marks.filter((mark) => mark.step < report.step);
    const before = this.points.at(-1);
    if (before && before.phase !== report.phase) {
      this.marks.push({ step: report.step, text: t("watch.all_images"), kind: "phase" });
    } else if (before?.is_absorbing && !report.is_absorbing) {
      this.marks.push({ step: report.step, text: t("watch.switched_off"), kind: "off" });
    }
    this.points.push(report);
    this.job.latest = report;
  }

  async askPlace() {
    if (this.job.state !== "queued") return;
    try {
      const { queue_place: place } = await api(`/v1/jobs/${this.id_}`);
      if (place && this.job.state === "queued")
        this.part("step").textContent = place === 1 ? t("watch.next") : t("watch.before", { n: place - 1 });
    } catch {
      // The notice says already that the service does not answer.
    }
  }

  showInterim(modelId) {
    const part = this.part("interim");
    if (!part) return;
    part.querySelector("a").href = `/models/${modelId}/try`;
    part.hidden = false;
  }

  end({ state, model_id: modelId }) {
    this.events.close();
    this.showOffline(false);
    if (this.wasOver) return this.queueDrawing();
    announce(t(`watch.stages.${state}`));
    this.show("stage", t(`watch.stages.${state}`));
    this.queueDrawing();
    // Without an entry in the history: back leads to where the job was started, and not here again.
    setTimeout(() => (state === "succeeded" ? location.replace(`/models/${modelId}`) : location.reload()), DONE_MS);
  }

  queueDrawing() {
    if (this.isQueued) return;
    this.isQueued = true;
    requestAnimationFrame(() => {
      this.isQueued = false;
      if (!this.wasOver && !FINAL.includes(this.job.state)) this.showState();
      this.drawCharts();
    });
  }

  stage() {
    const { state, latest } = this.job;
    if (this.hasAttribute("cancelling")) return "cancelling";
    if (state !== "running") return state;
    return { validation: "validation", "fine-tuning": "learning" }[latest?.phase] ?? "starting";
  }

  showState() {
    const { state, attempt, latest } = this.job;
    const stage = this.stage(), sentence = t(`watch.stages.${stage}`);
    if (stage !== this.shownStage) {
      if (performance.now() > this.quietUntil) announce(sentence);
      this.shownStage = stage;
      this.showPlace({ queued: 0, running: 1, verifying: 2 }[state]);
      if (state === "queued") this.askPlace();
    }
    this.show("stage", sentence);
    const again = this.part("again");
    again.hidden = attempt < 2;
    if (attempt >= 2) again.textContent = t("watch.again", { attempt, max_attempts: this.getAttribute("max-attempts") });
    if (state === "queued") this.showWaiting();
    else this.showStep(state, latest);
  }

  showWaiting() {
    this.part("bar").removeAttribute("value");
    this.show("left", "");
    document.title = this.pageTitle;
  }

  showStep(state, latest) {
    const bar = this.part("bar");
    if (!latest) {
      this.show("step", state === "running" ? "" : t("watch.quick"));
      return;
    }
    bar.max = latest.num_steps;
    bar.value = latest.step;
    this.show("step", t("watch.step", latest));
    const left = latest.seconds_left;
    const isNear = state !== "running" || left === 0;
    this.show("left", isNear ? "" : left == null ? t("watch.left_unknown") : t("watch.left", { time: duration(left) }));
    const percent = Math.floor((100 * latest.step) / latest.num_steps);
    document.title = t("watch.title", { percent, name: this.getAttribute("name") });
    const quarter = Math.floor(percent / 25);
    if (quarter > (this.saidQuarter ?? quarter)) announce(t("watch.announced", { stage: t(`watch.stages.${this.stage()}`), percent }));
    this.saidQuarter = quarter;
  }

  show(name, text) {
    const part = this.part(name);
    if (part && part.textContent !== text) part.textContent = text;
  }

  showPlace(place) {
    for (const item of this.querySelectorAll("[data-stage]")) {
      const number = Number(item.dataset.stage);
      item.classList.toggle("past", number < place);
      item.toggleAttribute("aria-current", number === place);
      if (number === place) item.setAttribute("aria-current", "step");
    }
  }

  drawCharts() {
    const steps = this.points.at(-1)?.num_steps;
    if (!steps) return;
    this.part("charts").hidden = false;
    this.part("trials").hidden = this.points[0].phase !== "validation";
    this.part("off").hidden = !this.marks.some((mark) => mark.kind === "off");
    for (const name of CHARTS) {
      const points = this.points.filter((report) => report[name] != null).map((report) => [report.step, report[name]]);
      const figure = this.charts[name];
      figure.hidden = points.length < 2;
      if (figure.hidden) continue;
      const [step, last] = points.at(-1);
      const title = t("watch.chart", { title: figure.querySelector("[data-title]").textContent, value: last.toFixed(2), step });
      const domain = name === "conflict_cosine" ? [-1, 1] : undefined;
      drawLine(figure.querySelector("[data-plot]"), { points, steps, marks: this.marks, domain, title });
    }
  }
}

customElements.define("job-watch", JobWatch);
