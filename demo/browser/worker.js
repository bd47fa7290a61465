// Runs the model beside the page, so that the page stays responsive. Messages in: {id, text} with
// {imageId, blob, name, width, height} for another image. The latest message counts: what an
// older one asks for is left as soon as a caption of it ends.

import { Detector } from "./detector.js";
import { download, downloadModel, Progress } from "./files.js";
import { messageOf, PageError } from "./errors.js";
import { openImage, pixelsOf, thumbnail } from "./image.js";

const SHOWN_SIDE = 1600;
const MAX_CAPTIONS = 128; // encoded texts that are kept

const texts = new Map();
let detector;
let image = null;
let imageTime = null; // milliseconds, until they are reported
let refused; // id of the last image that could not be read
let wanted = { id: 0 };
let done = 0;
let isRunning = true; // until the model is loaded

const send = (type, content, transfer) => postMessage({ type, ...content }, { transfer });

async function loadRuntime(progress) {
  const folder = new URL("onnxruntime/", import.meta.url);
  try {
    const [ort, binary] = await Promise.all([
      import(new URL("ort.wasm.min.js", folder)),
      download(new URL("ort-wasm-simd-threaded.wasm", folder), progress),
    ]);
    ort.env.wasm.wasmBinary = binary.buffer;
    ort.env.wasm.wasmPaths = { mjs: new URL("ort-wasm-simd-threaded.js", folder).href };
    ort.env.logLevel = "error";
    return ort;
  } catch (error) {
    throw new PageError(
      `onnxruntime-web is not in the folder ${folder.pathname}. ${error.message} Build the page ` +
        "again with demo/browser/build.py, or reload it.",
    );
  }
}

async function load() {
  const progress = new Progress((received, total) => send("progress", { received, total }));
  const folder = new URL("model/", import.meta.url);
  const [ort, model] = await Promise.all([
    loadRuntime(progress),
    downloadModel(folder, progress),
  ]);
  send("preparing");
  detector = await Detector.create(model, ort);
}

// Fresh messages are only seen between two tasks.
const nextTask = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = resolve;
    port2.postMessage(null);
  });

async function isLatest(job) {
  await nextTask();
  return wanted.id === job.id;
}

async function timed(run) {
  const start = performance.now();
  const result = await run();
  return [result, performance.now() - start];
}

async function readImage({ imageId, blob, name, width, height }) {
  const bitmap = await openImage(blob, name, { width, height });
  const [encoded, milliseconds] = await timed(() => detector.encodeImage(pixelsOf(bitmap)));
  const shown = await thumbnail(bitmap, SHOWN_SIDE);
  image = { id: imageId, encoded };
  send("image", { imageId, name, width: bitmap.width, height: bitmap.height, shown }, [shown]);
  bitmap.close();
  return milliseconds;
}

async function encodeText(text) {
  const kept = texts.get(text);
  const [encoded, milliseconds] = await timed(() => kept ?? detector.encodeText(text));
  texts.delete(text); // the least recently used is the first
  texts.set(text, encoded);
  let count = [...texts.values()].reduce((sum, each) => sum + each.captions.length, 0);
  for (const [old, { captions }] of texts) {
    if (count <= MAX_CAPTIONS || old === text) break;
    texts.delete(old);
    count -= captions.length;
  }
  return [encoded, kept ? null : milliseconds];
}

async function run(job) {
  if (job.imageId !== undefined && job.imageId !== image?.id && job.imageId !== refused) {
    try {
      imageTime = await readImage(job);
    } catch (error) {
      refused = job.imageId;
      send("refused", { imageId: job.imageId, message: messageOf(error) });
    }
  }
  if (!image || job.text === null || !(await isLatest(job))) return;
  const [encoded, textTime] = await encodeText(job.text);
  const total = encoded.captions.length;
  const [result, answerTime] = await timed(() =>
    detector.detect(image.encoded, encoded, (index) => {
      if (total > 1) send("step", { id: job.id, index, total });
      return isLatest(job);
    }),
  );
  if (!result) return;
  const spent = { image: imageTime, text: textTime, answer: answerTime };
  const { names, unknown } = encoded;
  send("found", { id: job.id, ...result, names, unknown, spent });
  imageTime = null;
}

async function runAll() {
  isRunning = true;
  while (done !== wanted.id) {
    const job = wanted;
    try {
      await run(job);
    } catch (error) {
      send("failed", { id: job.id, message: messageOf(error) });
    }
    done = job.id;
  }
  isRunning = false;
}

onmessage = ({ data }) => {
  wanted = { ...wanted, ...data };
  if (!isRunning) runAll();
};

try {
  await load();
  const { model, default_score_thr: threshold } = detector.manifest;
  send("ready", { model, threshold });
  await runAll();
} catch (error) {
  send("broken", { message: messageOf(error) });
}
