// Runs a model on all images, in Node and in a page alike. A runtime opens a file's bytes; what it opened computes one batch of
// uint8 pixels, and returns `{name: {dims, data}}`.

async function openOnnx(ort, bytes) {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, executionProviders: [ort.provider] });
  const [{ name, type }] = session.inputMetadata;
  return (pixels, dims) => {
    const values = type === "uint8" ? pixels : Float32Array.from(pixels);
    return session.run({ [name]: new ort.Tensor(type, values, dims) });
  };
}

async function openLiteRt(litert, bytes) {
  const model = await litert.loadAndCompile(bytes, { accelerator: "wasm" });
  const [signature] = Object.values(model.signatures);
  const [input] = signature.getInputDetails();
  return async (pixels, dims) => {
    const values = input.dtype === "uint8" ? pixels : Float32Array.from(pixels);
    const tensor = new litert.Tensor(values, dims);
    const answers = await signature.run({ [input.name]: tensor });
    tensor.delete();
    const outputs = {};
    for (const [name, answer] of Object.entries(answers)) {
      outputs[name] = { dims: [...answer.type.layout.dimensions], data: answer.toTypedArray().slice() };
      answer.delete();
    }
    return outputs;
  };
}

const OPEN = { onnx: openOnnx, tflite: openLiteRt };

// Rearranges (N, H, W, C) to (N, C, H, W).
function channelsFirst(pixels, [count, height, width, channels]) {
  const area = height * width;
  const turned = new Uint8Array(pixels.length);
  for (let image = 0; image < count; image++)
    for (let pixel = 0; pixel < area; pixel++)
      for (let channel = 0; channel < channels; channel++)
        turned[(image * channels + channel) * area + pixel] = pixels[(image * area + pixel) * channels + channel];
  return [turned, [count, channels, height, width]];
}

// The answer for one artifact, with so many images per inference: `{outputs: {name: {shape, integer, values}}}`, or `{error}`.
export async function classify(runtime, artifact, bytes, pixels, [count, ...rest], size) {
  try {
    const run = await OPEN[artifact.format](runtime, bytes);
    const outputs = {};
    const stride = pixels.length / count;
    for (let start = 0; start < count; start += size) {
      let batch = [pixels.slice(start * stride, (start + size) * stride), [size, ...rest]];
      if (artifact.layout === "nchw") batch = channelsFirst(...batch);
      for (const [name, { dims, data }] of Object.entries(await run(...batch))) {
        outputs[name] ??= { shape: [0, ...dims.slice(1)], integer: !(data instanceof Float32Array), values: [] };
        outputs[name].shape[0] += dims[0];
        for (const value of data) outputs[name].values.push(value);
      }
    }
    return { outputs };
  } catch (error) {
    return { error: String(error?.message ?? error).split("\n")[0] };
  }
}
