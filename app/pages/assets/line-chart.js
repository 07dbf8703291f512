// One line that grows to the right: the numbers of a training, step by step.
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 340, HEIGHT = 164, LEFT = 38, RIGHT = 332, TOP = 26, BOTTOM = 140;

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Round numbers that hold `low` and `high`, zero among them, and the one in the middle. */
function scale(low, high) {
  const [bottom, top] = [Math.min(0, low), Math.max(0, high)];
  const rough = Math.max(top - bottom, 1e-6) / 2;
  const power = 10 ** Math.floor(Math.log10(rough));
  const unit = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough * 0.999);
  const first = Math.floor(bottom / unit + 1e-9) * unit;
  const ticks = [first, first + unit, first + 2 * unit];
  if (ticks[2] < top) ticks.push(first + 3 * unit);
  return ticks;
}

/**
 * Draws a line.
 *
 * points: pairs of step and value, the steps growing. steps: of the whole training. marks: vertical lines, each with `step`,
 * `text` and `kind`. domain: lowest and highest value, where they are known. title: for those who cannot see it.
 */
export function drawLine(place, { points, steps, marks = [], domain, title }) {
  const values = points.map(([, value]) => value);
  const ticks = scale(...(domain ?? [Math.min(...values), Math.max(...values)]));
  const x = (step) => LEFT + ((RIGHT - LEFT) * step) / Math.max(1, steps);
  const y = (value) => BOTTOM - ((BOTTOM - TOP) * (value - ticks[0])) / (ticks.at(-1) - ticks[0]);
  const svg = shape("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
  for (const tick of ticks) {
    const number = String(Number(tick.toPrecision(3)));
    svg.append(
      shape("line", { class: Math.abs(tick) < 1e-9 ? "axis" : "grid", x1: LEFT, x2: RIGHT, y1: y(tick), y2: y(tick) }),
      shape("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, number),
    );
  }
  svg.append(shape("text", { x: LEFT, y: HEIGHT - 8 }, "0"), shape("text", { x: RIGHT, y: HEIGHT - 8, "text-anchor": "end" }, String(steps)));
  for (const { step, text, kind } of marks) {
    const isLeft = x(step) < (LEFT + RIGHT) / 2;
    svg.append(
      shape("line", { class: `mark ${kind}`, x1: x(step), x2: x(step), y1: 2, y2: BOTTOM }),
      shape("text", { class: kind, x: x(step) + (isLeft ? 4 : -4), y: kind === "off" ? TOP - 4 : 10, "text-anchor": isLeft ? "start" : "end" }, text),
    );
  }
  const path = points.map(([step, value], place_) => `${place_ ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const [step, value] = points.at(-1);
  svg.append(shape("path", { class: "line-1", d: path }), shape("circle", { class: "now", cx: x(step), cy: y(value), r: 3.5 }));
  place.replaceChildren(svg);
}
