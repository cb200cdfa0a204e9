// The page: where images come from, and how the answers look. What an image is, `classify.js` knows.

import { readJson } from "./assets.js";
import { startCamera } from "./camera.js";
import { Classifier, RuntimeMissing, UnreadableImage } from "./classify.js";
import { decodePng } from "./decode.js";

const SMALL = 64; // pixels: images that are enlarged without smoothing

const element = (id) => document.getElementById(id);
const [status, results, drop] = ["status", "results", "drop"].map(element);

// For the console, and for tests: `await classifier`.
globalThis.classifier = Classifier.load();
const ready = globalThis.classifier.catch(() => null); // null: the page has said why

/** Makes an element with a class and content: text, or other elements. */
function make(tag, name, ...content) {
  const made = document.createElement(tag);
  made.className = name;
  made.append(...content);
  return made;
}

function say(text, isError = false) {
  status.textContent = text;
  status.classList.toggle("error", isError);
}

const percent = (probability) => `${(100 * probability).toFixed(1)} %`;

const duration = (milliseconds) => `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;

/** The answer for one image: the best class, bars for the best five, and how long it took. */
function answer(classifier, { probabilities, milliseconds, preparation }) {
  const top = classifier.top(probabilities);
  const rows = top.map(({ label, probability }) => {
    const bar = make("div", "bar");
    bar.style.width = `${100 * probability}%`;
    const track = make("div", "track", bar);
    track.setAttribute("aria-hidden", "true");
    const row = make("div", "row", make("span", "label", label), make("span", "percent", percent(probability)));
    return make("li", "", row, track);
  });
  const prepared = preparation === undefined ? "" : `, ${duration(preparation)} to read and resize the image`;
  return [
    make("p", "best", top[0].label),
    make("ol", "top", ...rows),
    make("p", "note", `${duration(milliseconds)} for the network${prepared}`),
  ];
}

/** What is shown instead of an answer. */
function failure(error) {
  return make("p", "failed", error instanceof UnreadableImage ? error.message : `The network failed: ${error.message}`);
}

/** An image, enlarged without smoothing if it is small. */
function picture(source, name, alt) {
  const made = make("img", name);
  made.alt = alt;
  made.addEventListener("load", () => made.classList.toggle("small", made.naturalWidth < SMALL));
  for (const end of ["load", "error"]) made.addEventListener(end, () => URL.revokeObjectURL(source)); // the file may be large
  made.src = source;
  return made;
}

/** Adds a card with a picture to the results, and returns what fills in the answer. */
function addCard(source, name) {
  const place = make("div", "answer", make("p", "note", "…"));
  results.prepend(make("article", "card", picture(source, "picture", ""), make("p", "name", name), place));
  return (...content) => place.replaceChildren(...content);
}

/** Classifies image files, one after the other, and shows each. */
async function show(files) {
  const classifier = await ready;
  if (!classifier) return;
  for (const file of files) {
    const fill = addCard(URL.createObjectURL(file), file.name ?? "image");
    try {
      fill(...answer(classifier, await classifier.classify(file)));
    } catch (error) {
      fill(failure(error));
    }
  }
}

/** Shows what was dropped, or says that there is no image in it. */
async function showDropped(transfer) {
  const images = imagesOf(transfer); // at once: a drop is forgotten after its event
  if (await ready) say(images.length > 0 ? "" : "What was dropped is not an image file.", images.length === 0);
  show(images);
}

/** Shows the sample images as buttons. They have the network's size already, and come with what Keras gives for them. */
async function showSamples(classifier) {
  const samples = await readJson("samples.json");
  if (samples.length === 0) return;
  for (const { image, label, outputs } of samples) {
    const source = `data:image/png;base64,${image}`;
    const button = make("button", "button sample", picture(source, "", `sample: ${label}`));
    button.type = "button";
    button.addEventListener("click", async () => {
      const fill = addCard(source, `sample: ${label}`);
      const pixels = await decodePng(source, classifier.preprocessing.channels);
      const start = performance.now();
      const { probabilities: found } = await classifier.run(pixels);
      const milliseconds = performance.now() - start;
      const expected = outputs.probabilities;
      const difference = Math.max(...found.map((probability, index) => Math.abs(probability - expected[index])));
      const compared = `Differs from Keras by at most ${difference.toFixed(4)}`;
      fill(...answer(classifier, { probabilities: found, milliseconds }), make("p", "note", compared));
    });
    element("sample-list").append(button);
  }
  element("samples").hidden = false;
}

/** The image files of a drop or a paste. */
function imagesOf(transfer) {
  return [...transfer.files].filter((file) => file.type.startsWith("image/"));
}

function connect() {
  element("files").addEventListener("change", ({ target }) => {
    show([...target.files]);
    target.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", (event) => show(imagesOf(event.clipboardData)));
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    showDropped(event.dataTransfer);
  });
  element("camera").addEventListener("click", useCamera);
}

async function useCamera() {
  const [button, live, video] = ["camera", "live", "video"].map(element);
  const place = live.querySelector(".answer");
  button.disabled = true;
  const classifier = await ready;
  if (!classifier) return;
  try {
    const camera = await startCamera(video, async () => {
      try {
        place.replaceChildren(...answer(classifier, await classifier.classify(video)));
      } catch (error) {
        place.replaceChildren(failure(error)); // of one frame
      }
    });
    say("");
    live.hidden = false;
    element("stop").onclick = () => {
      camera.stop();
      live.hidden = true;
      button.disabled = false;
      button.focus();
    };
  } catch (error) {
    say(error.message, true);
    button.disabled = false;
  }
}

connect();
try {
  const classifier = await globalThis.classifier;
  say("");
  element("timing").textContent = `The model was ready ${duration(performance.now())} after the page was opened.`;
  await showSamples(classifier);
} catch (error) {
  for (const id of ["files", "camera"]) element(id).disabled = true;
  say(
    error instanceof RuntimeMissing
      ? "The runtime is missing: run `npm install` in the folder of this page, which brings LiteRT.js, and reload."
      : `The model cannot be loaded: ${error.message}`,
    true,
  );
}
