// ONNX Runtime in Node: `node node_client.mjs FOLDER PACKAGES`; the folders of the request and of the npm packages.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { classify } from "./runtimes.mjs";

const [folder, packages] = process.argv.slice(2);
const require = createRequire(path.join(packages, "package.json"));
const ort = { ...require("onnxruntime-node"), provider: "cpu" };
const versions = { "onnxruntime-node": require("onnxruntime-node/package.json").version };
const request = JSON.parse(fs.readFileSync(path.join(folder, "request.json"), "utf8"));
const pixels = new Uint8Array(fs.readFileSync(path.join(folder, "images.bin")));

for (const artifact of request.artifacts) {
  const bytes = new Uint8Array(fs.readFileSync(artifact.path));
  const batches = {};
  for (const size of artifact.batch_sizes) batches[size] = await classify(ort, artifact, bytes, pixels, request.shape, size);
  fs.appendFileSync(path.join(folder, "answers.jsonl"), `${JSON.stringify({ name: artifact.name, versions, batches })}\n`);
}
