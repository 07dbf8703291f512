// Run the model on pictures, in this browser.
import * as ort from "./ort.wasm.bundle.min.js";
import { squash } from "./resize.js";

ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", import.meta.url).href };
ort.env.wasm.numThreads = 1; // more need headers that a plain file server does not send

/** Loads the facts and the graph, and returns a function from a picture to its answer. */
export async function loadClassifier() {
  const facts = await (await fetch("model.json")).json();
  const bytes = new Uint8Array(await (await fetch(facts.model_file)).arrayBuffer());
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const side = facts.preprocessing.side_pixels;

  /** Answers for a canvas: probabilities by label, the likeliest first, and whether it shows none of the classes. */
  async function classify(canvas) {
    const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const pixels = new ort.Tensor("uint8", squash(data, width, height, side), [1, side, side, 3]);
    const found = await session.run({ pixels });
    const shares = [...found.probabilities.data];
    const ranked = facts.labels.map((label, index) => [label, shares[index]]).sort((one, other) => other[1] - one[1]);
    return { ranked, none: found.unknown ? found.unknown.data[0] >= 0 : null, logits: [...found.logits.data] };
  }
  return { facts, classify };
}
