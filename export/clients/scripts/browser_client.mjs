// A runtime in a page of headless Chromium: `node browser_client.mjs FOLDER PACKAGES RUNTIME CHROMIUM`.
//
// The page's files come from the disk through a made-up host: there is no server, and requests to elsewhere fail.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [folder, packages, runtime, executablePath] = process.argv.slice(2);
const HOST = "https://client.invalid";
const PAGES = {
  onnxruntime_web: {
    package: "onnxruntime-web",
    script: `import * as ort from "/packages/onnxruntime-web/dist/ort.wasm.min.mjs";
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmPaths = "/packages/onnxruntime-web/dist/";
      window.runtime = { ...ort, provider: "wasm" };`,
  },
  litertjs: {
    package: "@litertjs/core",
    script: `import * as litert from "@litertjs/core";
      await litert.loadLiteRt("/packages/@litertjs/core/wasm/");
      window.runtime = litert;`,
  },
};
const IMPORTS = {
  "@litertjs/core": "/packages/@litertjs/core/dist/index.js",
  "@litertjs/wasm-utils": "/packages/@litertjs/wasm-utils/dist/index.js",
};
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };

const page_of = ({ script }) => `<!doctype html><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module">${script}
  import { classify } from "/scripts/runtimes.mjs";
  window.classify = classify;
</script>`;

const require = createRequire(path.join(packages, "package.json"));
const modules = path.join(packages, "node_modules");
const { chromium } = require("playwright-core");
const request = JSON.parse(fs.readFileSync(path.join(folder, "request.json"), "utf8"));
const roots = { packages: modules, scripts: import.meta.dirname, request: folder };

async function serve(route) {
  const [, root, ...names] = decodeURIComponent(new URL(route.request().url()).pathname).split("/");
  if (!root) return route.fulfill({ contentType: "text/html", body: page_of(PAGES[runtime]) });
  const file = root === "model" ? request.artifacts[names[0]].path : path.join(roots[root], ...names);
  return route.fulfill({ contentType: TYPES[path.extname(file)] ?? "application/octet-stream", body: fs.readFileSync(file) });
}

const browser = await chromium.launch({ executablePath, args: ["--disable-quic", "--disable-gpu"] });
try {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.route("**/*", (route) => (route.request().url().startsWith(HOST) ? serve(route) : route.abort()));
  await page.goto(`${HOST}/`);
  await page.waitForFunction(() => window.runtime && window.classify, undefined, { timeout: 60_000 }).catch(() => {
    throw new Error(problems[0] ?? "the runtime did not load within a minute");
  });
  const versions = {
    [PAGES[runtime].package]: JSON.parse(fs.readFileSync(path.join(modules, PAGES[runtime].package, "package.json"))).version,
    chromium: browser.version(),
  };
  for (const [index, artifact] of request.artifacts.entries()) {
    const batches = {};
    for (const size of artifact.batch_sizes)
      batches[size] = await page.evaluate(
        async ({ index, artifact, shape, size }) => {
          const read = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
          const [model, pixels] = [await read(`/model/${index}`), await read("/request/images.bin")];
          return window.classify(window.runtime, artifact, model, pixels, shape, size);
        },
        { index, artifact, shape: request.shape, size },
      );
    fs.appendFileSync(path.join(folder, "answers.jsonl"), `${JSON.stringify({ name: artifact.name, versions, batches })}\n`);
  }
} finally {
  await browser.close();
}
