// A photograph as a small picture, and the shade over it that shows where a model looked.
import { element, t } from "./page.js";

const SIDE = 480;
const DARKEST = 0.82;
/** A ninth of a picture with less than this share stands out from the others only a little. */
const EVEN = 0.16;
/** Pixels of a cell's side in a shade, which is then stretched over the picture. */
const STEPS = 12;

/** Draws a file into a canvas, the whole of it; where the browser cannot read it, the canvas says so to screen readers. */
export async function drawFile(canvas, file, side = SIDE) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = side / Math.max(bitmap.width, bitmap.height);
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
  } catch {
    canvas.classList.add("unseen-kind");
    canvas.setAttribute("aria-label", t("try.no_preview"));
  }
}

/** Draws files once their canvas comes into view, a few at a time. */
export class LazyPictures {
  #files = new WeakMap();
  #queue = [];
  #isDrawing = false;
  #observer = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      this.#observer.unobserve(entry.target);
      this.#queue.push(entry.target);
    }
    this.#draw();
  }, { rootMargin: "200px" });

  canvas(file, side) {
    const canvas = element("canvas", { width: side, height: side, role: "img", "aria-label": file.name });
    this.#files.set(canvas, [file, side]);
    this.#observer.observe(canvas);
    return canvas;
  }

  async #draw() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    while (this.#queue.length > 0) {
      const canvas = this.#queue.shift();
      if (canvas.isConnected) await drawFile(canvas, ...this.#files.get(canvas));
    }
    this.#isDrawing = false;
  }
}

/** Darkens the parts of a picture that a model looked at least. `strength` is between 0 and 1. */
export function drawShade(canvas, grid, strength) {
  const [rows, columns] = [grid.length, grid[0].length];
  const [least, most] = [Math.min(...grid.flat()), Math.max(...grid.flat())];
  const darkness = (share) => 1 - (share - least) / (most - least || 1);
  [canvas.width, canvas.height] = [columns * STEPS, rows * STEPS];
  const pixels = new ImageData(canvas.width, canvas.height);
  for (let y = 0; y < canvas.height; y += 1) {
    for (let x = 0; x < canvas.width; x += 1) {
      const share = between(grid, (y + 0.5) / STEPS - 0.5, (x + 0.5) / STEPS - 0.5);
      pixels.data[4 * (y * canvas.width + x) + 3] = 255 * DARKEST * strength * darkness(share);
    }
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** A share at any place between the middles of the cells, by linear interpolation. */
function between(grid, y, x) {
  const inside = (value, count) => Math.min(Math.max(value, 0), count - 1);
  const [atY, atX] = [inside(y, grid.length), inside(x, grid[0].length)];
  const [top, left] = [Math.floor(atY), Math.floor(atX)];
  const [bottom, right] = [inside(top + 1, grid.length), inside(left + 1, grid[0].length)];
  const mixed = (row) => grid[row][left] + (grid[row][right] - grid[row][left]) * (atX - left);
  return mixed(top) + (mixed(bottom) - mixed(top)) * (atY - top);
}

/** Says in words which of nine parts of a picture have the largest shares. */
export function inWords(grid) {
  const [rows, columns] = [grid.length, grid[0].length];
  const shares = new Map();
  grid.forEach((row, y) => row.forEach((share, x) => {
    const part = `${["top", "middle", "bottom"][Math.floor((3 * (y + 0.5)) / rows)]}_${["left", "centre", "right"][Math.floor((3 * (x + 0.5)) / columns)]}`;
    shares.set(part, (shares.get(part) ?? 0) + share);
  }));
  const [first, second] = [...shares].sort((one, other) => other[1] - one[1]);
  if (first[1] < EVEN) return t("try.evenly", { part: t(`try.parts.${first[0]}`) });
  const said = ([part, share]) => t("try.part_share", { part: t(`try.parts.${part}`), percent: Math.round(100 * share) });
  return second === undefined ? t("try.one_part", { first: said(first) }) : t("try.two_parts", { first: said(first), second: said(second) });
}

/** The share of the attention that is elsewhere in another grid. */
export const movedShare = (one, other) => one.flat().reduce((sum, share, place) => sum + Math.abs(share - other.flat()[place]), 0) / 2;
