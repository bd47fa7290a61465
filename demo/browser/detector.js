// The steps of detection with an exported model, as glip.runtime.Detector has them.

import { postprocess } from "./postprocess.js";
import { normalizeAndPad, paddedSize, resize, resizedSize } from "./preprocess.js";
import { makeCaptions, splitNames, Tokenizer, unknownNames } from "./tokenizer.js";

/** An exported model. It keeps nothing between calls but its weights. */
export class Detector {
  /**
   * Make the sessions of a downloaded model.
   * @param model {manifest, files} of downloadModel()
   * @param ort onnxruntime-web
   */
  static async create({ manifest, files }, ort) {
    const sessions = {};
    for (const name of ["text", "image", "answer"]) {
      const graph = files[`${name}.onnx`];
      sessions[name] = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
    }
    const tokenizer = JSON.parse(new TextDecoder().decode(files["tokenizer.json"]));
    return new Detector(manifest, new Tokenizer(tokenizer), sessions, ort);
  }

  constructor(manifest, tokenizer, sessions, ort) {
    this.manifest = manifest;
    this.tokenizer = tokenizer;
    this.sessions = sessions;
    this.ort = ort;
  }

  /** Encode class names: {names, unknown, captions}. */
  async encodeText(text) {
    const names = splitNames(text);
    const captions = makeCaptions(names, this.tokenizer, this.manifest);
    for (const caption of captions) {
      const shape = [1, caption.ids.length];
      const ids = BigInt64Array.from(caption.ids, BigInt);
      caption.mask = new this.ort.Tensor("bool", new Uint8Array(ids.length).fill(1), shape);
      const input_ids = new this.ort.Tensor("int64", ids, shape);
      const { hidden } = await this.#run("text", { input_ids, mask: caption.mask });
      caption.hidden = hidden;
    }
    return { names, unknown: unknownNames(names, this.tokenizer), captions };
  }

  /** Encode an image of pixelsOf(): {levels, original, shape, size}, sizes as [height, width]. */
  async encodeImage(source) {
    const original = [source.height, source.width];
    const shape = resizedSize(...original, this.manifest);
    const size = paddedSize(shape, this.manifest);
    const rgb = await resize(source, ...shape);
    const input = normalizeAndPad(rgb, shape, size, this.manifest);
    const image = new this.ort.Tensor("float32", input, [1, 3, ...size]);
    return { levels: await this.#run("image", { image }), original, shape, size };
  }

  /**
   * Detect: {found: [{box, score, label}], presence}, boxes in pixels of the image.
   * @param onCaption called before each caption; if its promise gives false, null is returned
   */
  async detect(image, prompt, onCaption = async () => true) {
    const found = [];
    const presence = new Array(prompt.names.length).fill(0);
    for (const [index, caption] of prompt.captions.entries()) {
      if (!(await onCaption(index))) return null;
      const { hidden, mask, labels, tokenMap } = caption;
      const answer = await this.#run("answer", { ...image.levels, hidden, mask });
      const { token_logits, deltas, centerness } = answer;
      const raw = {
        token_logits: token_logits.data,
        deltas: deltas.data,
        centerness: centerness.data,
      };
      const part = postprocess(raw, tokenMap, image.size, image.shape, this.manifest);
      part.presence.forEach((score, row) => (presence[labels[row]] = score));
      found.push(...part.found.map((each) => ({ ...each, label: labels[each.label] })));
    }
    return { found: toImage(found, image, this.manifest), presence };
  }

  #run(name, inputs) {
    const session = this.sessions[name];
    // Without fusion the graph does not read everything.
    const read = session.inputNames.map((input) => [input, inputs[input]]);
    return session.run(Object.fromEntries(read));
  }
}

/** Return the best detections of all captions, with xyxy boxes in pixels of the image. */
export function toImage(found, { original, shape }, manifest) {
  const [vertical, horizontal] = [shape[0] / original[0], shape[1] / original[1]];
  return found
    .sort((a, b) => b.score - a.score)
    .slice(0, manifest.max_per_img)
    .map((each) => {
      const [x1, y1, x2, y2] = each.box.map((at, i) => at / (i % 2 ? vertical : horizontal));
      return { ...each, box: [x1, y1, Math.max(x2 + 1, x1), Math.max(y2 + 1, y1)] };
    });
}
