// What every page needs: requests to the JSON API, texts, and the voice for screen readers.
import htmx from "./vendor/htmx.js";

const texts = JSON.parse(document.getElementById("texts")?.textContent ?? "{}");

/** The value that proves to the service that a request comes from one of its own pages. */
export const csrf = () => document.querySelector('meta[name="csrf"]')?.content ?? "";

/** A text of `texts/<language>/script.toml`, with its values; a table with `one` and `other` depends on `n`. */
export function t(key, values = {}) {
  let found = key.split(".").reduce((table, part) => table?.[part], texts);
  if (found === undefined) throw new Error(`no text ${key}`);
  if (typeof found === "object") found = values.n === 1 ? found.one : found.other;
  return found.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Says something to people who cannot see it. */
export function announce(sentence) {
  const voice = document.getElementById("announcer");
  if (voice) voice.textContent = sentence;
}

/** A refusal of the service: what was expected, what came, what to do. */
export class Problem extends Error {
  constructor(document_, status) {
    super(document_.detail ?? document_.title ?? String(status));
    Object.assign(this, { status, code: "", expected: "", got: "", remedy: "" }, document_);
  }
}

/** Asks the JSON API, and returns its answer; throws a Problem, or a TypeError if the service does not answer. */
export async function api(path, { method = "GET", json, form, headers = {} } = {}) {
  const sent = { Accept: "application/json", ...headers };
  if (method !== "GET") sent["X-CSRF-Token"] = csrf();
  if (json !== undefined) sent["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers: sent, body: json !== undefined ? JSON.stringify(json) : form });
  if (answer.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
  const body = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const problem = new Problem(body ?? {}, answer.status);
    throw Object.assign(problem, { retryAfter: Number(answer.headers.get("Retry-After")) || 5 });
  }
  return body;
}

/** The name of the form field for images of a class; the service cleans the space away, and takes `archive` itself for zips. */
export const fieldOf = (label) => (label === "archive" ? "archive " : label);

/** Makes an element, with attributes and children; texts are escaped. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

// Forms of htmx have the value in a field of their own; other requests of it send the header.
document.addEventListener("htmx:config:request", (event) => {
  event.detail.ctx.request.headers["X-CSRF-Token"] = csrf();
});

export { htmx };
