// Resize as Pillow's bilinear filter does, to the bit: the model learnt from pictures that were resized so.
// Source: Pillow 13, Resample.c: a triangle as wide as the reduction, integer weights of 22 bits, rows first and then columns.

const PRECISION = 2 ** 22;
const HALF = 2 ** 21;

/** Returns for each output place the first input place that it reads, and the integer weights. */
function weightsOf(from, to) {
  const scale = from / to;
  const width = Math.max(scale, 1);
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - width + 0.5));
    const end = Math.min(from, Math.trunc(centre + width + 0.5));
    const raw = [];
    for (let at = first; at < end; at += 1) raw.push(Math.max(0, 1 - Math.abs((at - centre + 0.5) / width)));
    const sum = raw.reduce((total, weight) => total + weight, 0);
    return { first, weights: raw.map((weight) => Math.trunc(0.5 + (weight / sum) * PRECISION)) };
  });
}

/** Resizes one direction. `pixels` has `channels` bytes a pixel; `stride` is the step between neighbours in that direction. */
function pass(pixels, channels, lines, lineStride, stride, places, out, outLineStride, outStride) {
  places.forEach(({ first, weights }, place) => {
    for (let line = 0; line < lines; line += 1) {
      for (let channel = 0; channel < 3; channel += 1) {
        let sum = HALF;
        let at = line * lineStride + first * stride + channel;
        for (const weight of weights) {
          sum += pixels[at] * weight;
          at += stride;
        }
        out[line * outLineStride + place * outStride + channel] = Math.min(255, Math.max(0, Math.floor(sum / PRECISION)));
      }
    }
  });
}

/** Returns RGB bytes, `side` x `side`, of RGBA bytes, `width` x `height`. */
export function squash(rgba, width, height, side) {
  const rows = new Uint8Array(height * side * 3);
  pass(rgba, 4, height, width * 4, 4, weightsOf(width, side), rows, side * 3, 3);
  const small = new Uint8Array(side * side * 3);
  pass(rows, 3, side, 3, side * 3, weightsOf(height, side), small, 3, side * 3);
  return small;
}
