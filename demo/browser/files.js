// Download the parts of the page with a progress, and check that they belong together.

import { PageError } from "./errors.js";

const FORMAT_VERSION = 1; // of the folders of `glip export`
const FILES = ["tokenizer.json", "text.onnx", "image.onnx", "answer.onnx"];

/** Counts the bytes of several downloads, for a progress bar. */
export class Progress {
  #received = 0;
  #expected = new Map();

  /** @param report called with (received, expected); expected is 0 while it is not known */
  constructor(report) {
    this.report = report;
  }

  add(url, received, expected) {
    this.#received += received;
    this.#expected.set(url.href, expected);
    const all = [...this.#expected.values()];
    const isKnown = all.every((each) => each > 0);
    this.report(this.#received, isKnown ? all.reduce((a, b) => a + b) : 0);
  }
}

/** Download a file. */
export async function download(url, progress = null, cache = "default") {
  let response;
  try {
    response = await fetch(url, { cache });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const isPlain = !response.headers.get("content-encoding");
    const expected = isPlain ? Number(response.headers.get("content-length")) : 0;
    const parts = [];
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      progress?.add(url, value.length, expected);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  } catch (error) {
    throw new PageError(`${url.pathname} cannot be loaded: ${error.message}.`);
  }
}

/** Download the folder of an exported model, whose URL ends with a slash: {manifest, files}. */
export async function downloadModel(base, progress) {
  const manifest = await readManifest(base);
  const contents = await Promise.all(
    FILES.map((name) => modelFile(new URL(name, base), manifest.files[name], progress)),
  );
  return { manifest, files: Object.fromEntries(FILES.map((name, i) => [name, contents[i]])) };
}

async function readManifest(base) {
  let manifest;
  try {
    const bytes = await download(new URL("manifest.json", base), null, "no-cache");
    manifest = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    const reason = error instanceof PageError ? error.message : "manifest.json is damaged.";
    throw new PageError(
      `There is no model in the folder ${base.pathname}. ${reason} Build the page again with ` +
        "demo/browser/build.py, or reload it.",
    );
  }
  const { format_version: version, format, files } = manifest;
  if (version !== FORMAT_VERSION || format !== "onnx" || !FILES.every((name) => files?.[name])) {
    throw new PageError(
      `The model in ${base.pathname} is of another version: expected the ONNX format ` +
        `${FORMAT_VERSION}, got ${format} ${version}. Export it again, and build the page with the ` +
        "same version of glip.",
    );
  }
  return manifest;
}

// A file that an older model left in the browser's cache is downloaded again.
async function modelFile(url, expected, progress) {
  for (const cache of ["default", "reload"]) {
    const bytes = await download(url, progress, cache);
    if (!globalThis.crypto?.subtle) return bytes; // a page without HTTPS
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (sha256 === expected) return bytes;
  }
  throw new PageError(
    `${url.pathname} does not belong to the model's manifest.json: copy the whole folder again.`,
  );
}
