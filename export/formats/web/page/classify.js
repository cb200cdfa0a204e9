// The classifier: an image in, the probability of each class out. It knows nothing of the page that uses it.
//
//   import { Classifier } from "./classify.js";
//   const classifier = await Classifier.load();
//   const { probabilities, milliseconds } = await classifier.classify(file);

import { isSingleFile, readAsset, readJson } from "./assets.js";
import { readPixels } from "./decode.js";
import { resizeAndCrop } from "./preprocess.js";

const RUNTIME = "runtime/core/wasm/";

export class Classifier {
  /**
   * Loads the runtime and the model.
   *
   * @throws {RuntimeMissing} If the runtime is not in its folder.
   */
  static async load() {
    const files = [readJson("classifier.json"), readAsset("model.tflite"), loadLiteRT()];
    const [description, model, litert] = await Promise.all(files);
    const compiled = await litert.loadAndCompile(model, { accelerator: "wasm" });
    const classifier = new Classifier(description, compiled, litert.Tensor);
    const { height, width, channels } = description.preprocessing;
    await classifier.run(new Uint8Array(height * width * channels)); // the first run takes several times as long as the others
    return classifier;
  }

  /**
   * @param {object} description classifier.json.
   * @param {object} model A CompiledModel of LiteRT.js.
   * @param {Function} Tensor LiteRT.js' class.
   */
  constructor(description, model, Tensor) {
    this.name = description.model;
    this.dataset = description.dataset;
    this.labels = description.labels;
    this.preprocessing = description.preprocessing;
    this.outputs = description.outputs;
    this.model = model;
    this.Tensor = Tensor;
    this.queue = Promise.resolve();
  }

  /**
   * Classifies an image of any size.
   *
   * @param {Blob | CanvasImageSource} image An image file, or what a canvas can draw, such as a playing video.
   * @returns {Promise<{probabilities: Float32Array, milliseconds: number, preparation: number}>}
   */
  async classify(image) {
    const start = performance.now();
    const pixels = await this.prepare(image);
    const prepared = performance.now();
    const outputs = await this.run(pixels);
    const milliseconds = performance.now() - prepared;
    return { probabilities: outputs.probabilities, milliseconds, preparation: prepared - start };
  }

  /**
   * Decodes, resizes and crops an image: the pixels that the network sees, height x width x channels bytes.
   *
   * @throws {UnreadableImage}
   */
  async prepare(image) {
    try {
      return resizeAndCrop(await readPixels(image, this.preprocessing.channels), this.preprocessing);
    } catch (error) {
      throw new UnreadableImage(`This cannot be read as an image: ${error.message}`, { cause: error });
    }
  }

  /**
   * Runs the network, one call after the other.
   *
   * @param {Uint8Array} pixels What `prepare` returns.
   * @returns {Promise<Object<string, Float32Array>>} By the names of the outputs.
   */
  run(pixels) {
    const result = this.queue.then(() => this.runNow(pixels));
    this.queue = result.catch(() => {});
    return result;
  }

  async runNow(pixels) {
    const [details] = this.model.getInputDetails();
    const values = details.dtype === "float32" ? Float32Array.from(pixels) : pixels;
    const input = new this.Tensor(values, details.shape);
    const results = await this.model.run({ [details.name]: input });
    input.delete();
    const outputs = {};
    for (const [name, tensor] of Object.entries(results)) {
      outputs[name] = dequantize(tensor.toTypedArray(), this.outputs[name]);
      tensor.delete();
    }
    return outputs;
  }

  /** The `count` most likely classes, best first, as {label, probability}. */
  top(probabilities, count = 5) {
    const classes = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]);
    return classes.slice(0, count).map((index) => ({ label: this.labels[index], probability: probabilities[index] }));
  }
}

export class RuntimeMissing extends Error {}

export class UnreadableImage extends Error {}

async function loadLiteRT() {
  let litert;
  try {
    litert = await import("@litertjs/core");
  } catch (error) {
    throw new RuntimeMissing("LiteRT.js is not in the folder runtime/", { cause: error });
  }
  const Module = { printErr: (line) => line.startsWith("ERROR") && console.error(line) }; // not its many INFO lines
  if (isSingleFile()) {
    const [script, wasmBinary] = await Promise.all(["litert.js", "litert.wasm"].map(readAsset));
    self.Module = { ...Module, wasmBinary };
    await litert.loadLiteRt(`${URL.createObjectURL(new Blob([script], { type: "text/javascript" }))}#.js`);
  } else {
    self.Module = Module;
    await litert.loadLiteRt(new URL(RUNTIME, import.meta.url).href);
  }
  return litert;
}

/** Integers to the numbers that they stand for. */
export function dequantize(values, { scale, zero_point: zeroPoint }) {
  return values instanceof Float32Array ? values : Float32Array.from(values, (value) => (value - zeroPoint) * scale);
}
