// The page: what the visitor does goes to the worker, what it answers is shown.

import { detectionAt, draw } from "./draw.js";
import { messageOf, PageError, quote } from "./errors.js";
import { listen, sizeOf } from "./inputs.js";
import { listBoxes, listPhrases, saveRecord, toRecord } from "./results.js";

const PAUSE = 250; // milliseconds without a key before the text is used
const MAX_TEXT = 50_000; // characters
const EXAMPLE = new URL("example/", import.meta.url);

const at = (id) => document.getElementById(id);
const ids = [
  "canvas", "hint", "size", "text", "text-note", "threshold", "threshold-value", "progress",
  "status", "error", "phrases", "details", "boxes", "save", "example", "suggestions", "model",
];
const page = Object.fromEntries(ids.map((id) => [id, at(id)]));

let worker;
let pause; // timer of the text
let model = null; // {model, threshold} once it is loaded
let isBroken = false; // nothing works any more; the error says why
let requests = 0; // messages to the worker
let images = 0; // images that were given
let image = null; // {bitmap, name, width, height}, the shown one
let result = null; // {found, presence, names, unknown} of the shown image
let pressed = null; // label whose button is pressed
let pointed = null; // label or detection that is pointed at

function tell(text) {
  page.status.textContent = text;
}

function fail(message) {
  page.error.textContent = message ?? "";
  page.error.hidden = !message;
  if (message) tell("");
}

const isShown = ({ score }) => score >= Number(page.threshold.value);

function shownDetections() {
  return result ? result.found.filter(isShown) : [];
}

function redraw() {
  if (!image) return;
  page.hint.hidden = true;
  page.canvas.hidden = false;
  const limits = { width: at("stage").clientWidth, height: window.innerHeight * 0.78 };
  const detections = shownDetections();
  draw(page.canvas, limits, image, detections, pointed ?? pressed);
  const told = detections.map(({ name, score }) => `${name} ${score.toFixed(2)}`).join(", ");
  const count = detections.length === 1 ? "1 detection" : `${detections.length} detections`;
  page.canvas.setAttribute("aria-label", `${image.name}: ${count}${told && `: ${told}`}`);
}

function showResult() {
  page["threshold-value"].value = Number(page.threshold.value).toFixed(2);
  const detections = shownDetections();
  page.details.hidden = !result;
  if (result) {
    if (!detections.some(({ label }) => label === pressed)) pressed = null;
    listPhrases(page.phrases, result, detections, pressed, {
      onPoint(label) {
        pointed = label;
        redraw();
      },
      onToggle(label) {
        pressed = pressed === label ? null : label;
        showResult();
      },
    });
  } else {
    page.phrases.replaceChildren();
  }
  listBoxes(page.boxes, detections);
  redraw();
}

// Names that were probably meant otherwise, as `glip detect` warns of them.
function showNote(names, unknown) {
  const notes = [];
  const joined = names.filter(({ name }) => /\S[ ]*[,;|\n、，；][ ]*\S/u.test(name));
  if (2 * joined.length >= names.length && joined.length) {
    const read = names.length === 1 ? "one class name" : `${names.length} class names`;
    notes.push(`This was read as ${read}. Put “ . ” between names, not commas or new lines.`);
  }
  if (unknown.length) {
    const shown = unknown.slice(0, 3).map(quote).join(", ");
    notes.push(`The model does not know ${shown}${unknown.length > 3 ? " and others" : ""}.`);
  }
  const twice = names.find(({ name }, index) => names.findIndex((n) => n.name === name) < index);
  if (twice) notes.push(`${quote(twice.name)} is there more than once: each time is a label of its own.`);
  page["text-note"].textContent = notes.join(" ");
  page["text-note"].hidden = !notes.length;
}

function forget() {
  result = null;
  pointed = null;
  showNote([], []);
  showResult();
}

/** Send the text, and an image if it is another one, to the worker. */
function ask(given = {}) {
  clearTimeout(pause);
  if (isBroken) return;
  fail(null);
  const { value } = page.text;
  let text = value.trim() ? value : null;
  if (value.length > MAX_TEXT) {
    text = null;
    fail(`The text has ${value.length} characters: expected at most ${MAX_TEXT}.`);
  } else if (!text) {
    tell(image || given.blob ? "Type class names: what should be found?" : "");
  } else if (/^[\s.]*$/u.test(value)) {
    text = null;
    fail("The text has no class name, only periods: write names, such as “red star . ring .”.");
  } else {
    tell(model ? "Detecting …" : page.status.textContent);
  }
  if (!text) forget();
  requests += 1;
  worker.postMessage({ id: requests, text, ...given });
}

async function useFile(file) {
  if (isBroken) return;
  images += 1;
  const imageId = images;
  try {
    const size = await sizeOf(file);
    if (imageId !== images) return; // another one was given meanwhile
    ask({ imageId, blob: file, name: file.name || "image", ...size });
    if (model) tell("Reading the image …");
  } catch (error) {
    if (!isBroken) fail(messageOf(error));
  }
}

function seconds(milliseconds) {
  return milliseconds === null ? "kept" : `${(milliseconds / 1000).toFixed(2)} s`;
}

const handlers = {
  progress({ received, total }) {
    if (isBroken) return; // another download goes on
    page.progress.hidden = false;
    if (total) Object.assign(page.progress, { value: received, max: total });
    else page.progress.removeAttribute("value");
    // The total alone: a screen reader would read each step.
    const told = `Loading the model${total ? `: ${(total / 1e6).toFixed(0)} MB` : " …"}`;
    if (page.status.textContent !== told) tell(told);
  },
  preparing() {
    page.progress.removeAttribute("value");
    tell("Preparing the model …");
  },
  ready(loaded) {
    model = loaded;
    page.progress.hidden = true;
    page.model.textContent = `Model: ${model.model}.`;
    page.threshold.value = model.threshold;
    tell(image || images ? "Detecting …" : "Ready: choose an image.");
    showResult();
  },
  broken({ message }) {
    isBroken = true;
    page.progress.hidden = true;
    fail(message);
  },
  image({ shown: bitmap, ...more }) {
    image?.bitmap.close();
    image = { bitmap, ...more };
    page.size.textContent = `${image.name}, ${image.width} × ${image.height}`;
    forget();
  },
  refused({ message }) {
    fail(message);
  },
  step({ id, index, total }) {
    if (id === requests) tell(`Detecting: caption ${index + 1} of ${total}`);
  },
  failed({ id, message }) {
    if (id !== requests) return;
    forget();
    fail(message);
  },
  found({ id, found, presence, names, unknown, spent }) {
    if (id !== requests) return;
    const named = found.map((each) => ({ ...each, name: names[each.label].name }));
    result = { found: named, presence, names };
    pressed = pointed = null;
    tell(
      `Image ${seconds(spent.image)}, text ${seconds(spent.text)}, boxes ${seconds(spent.answer)}`,
    );
    showNote(names, unknown);
    showResult();
  },
};

function startWorker() {
  if (typeof WebAssembly !== "object") {
    throw new PageError(
      "This browser has no WebAssembly, or it is switched off: allow it, or use another browser.",
    );
  }
  worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data: { type, ...content } }) => handlers[type](content);
  worker.onerror = (event) => {
    event.preventDefault();
    const reason = event.message || "its files are missing, or this browser is too old";
    handlers.broken({ message: `The page cannot start its worker: ${reason}.` });
  };
}

async function offerExamples() {
  const response = await fetch(new URL("example.json", EXAMPLE));
  if (!response.ok) return;
  const { image: name, texts } = await response.json();
  const use = async () => {
    const content = await (await fetch(new URL(name, EXAMPLE))).blob();
    await useFile(new File([content], name, { type: content.type }));
  };
  page.example.hidden = false;
  page.example.onclick = use;
  for (const text of texts) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: text });
    button.onclick = () => {
      page.text.value = text;
      ask();
    };
    page.suggestions.append(button);
  }
  if (images || page.text.value) return; // the visitor was faster
  page.text.value = texts[0];
  await use();
}

function pointAt({ offsetX, offsetY }) {
  const scale = image.width / page.canvas.clientWidth;
  const found = detectionAt(shownDetections(), offsetX * scale, offsetY * scale);
  if (found === pointed) return;
  pointed = found;
  redraw();
}

try {
  startWorker();
  listen({ choose: at("choose"), file: at("file"), drop: at("drop") }, useFile);
  page.text.oninput = () => {
    clearTimeout(pause);
    pause = setTimeout(ask, PAUSE);
  };
  page.threshold.oninput = showResult;
  page.canvas.onpointermove = page.canvas.onpointerdown = pointAt;
  page.canvas.onpointerleave = () => pointAt({ offsetX: -1, offsetY: -1 });
  page.save.onclick = () => {
    const threshold = Number(page.threshold.value);
    saveRecord(toRecord(image, result, shownDetections(), model.model, threshold));
  };
  new ResizeObserver(redraw).observe(at("stage"));
  offerExamples().catch(() => {}); // examples are not needed
} catch (error) {
  fail(messageOf(error));
}
