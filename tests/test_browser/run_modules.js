// Run functions of demo/browser in Node: reads {page, jobs} from a JSON file, prints the results.

import fs from "node:fs";

const { page, jobs } = JSON.parse(fs.readFileSync(process.argv[2]));
const load = (name) => import(`${page}/${name}.js`);
const { PageError } = await load("errors");
const { labelColor, textColor } = await load("palette");
const { makeCaptions, splitNames, Tokenizer, unknownNames } = await load("tokenizer");
const { normalizeAndPad, paddedSize, resize, resizedSize } = await load("preprocess");
const { postprocess } = await load("postprocess");
const { toImage } = await load("detector");

const floats = (path) => new Float32Array(new Uint8Array(fs.readFileSync(path)).buffer);

const kinds = {
  colors: ({ count }) =>
    Array.from({ length: count }, (_, label) => [labelColor(label), textColor(labelColor(label))]),

  texts({ tokenizer: path, texts, manifest }) {
    const tokenizer = new Tokenizer(JSON.parse(fs.readFileSync(path)));
    return texts.map((text) => {
      try {
        const names = splitNames(text);
        const captions = makeCaptions(names, tokenizer, manifest);
        return { names, captions, unknown: unknownNames(names, tokenizer) };
      } catch (error) {
        if (!(error instanceof PageError)) throw error;
        return { error: error.message };
      }
    });
  },

  tokens({ tokenizer: path, texts }) {
    const tokenizer = new Tokenizer(JSON.parse(fs.readFileSync(path)));
    return texts.map((text) => tokenizer.encode(text));
  },

  async image({ rgba, height, width, manifest, out }) {
    const bytes = fs.readFileSync(rgba);
    const rows = (y, count) => bytes.subarray(y * width * 4, (y + count) * width * 4);
    const shape = resizedSize(height, width, manifest);
    const size = paddedSize(shape, manifest);
    const rgb = await resize({ height, width, rows }, ...shape);
    fs.writeFileSync(out, normalizeAndPad(rgb, shape, size, manifest));
    return { shape, size };
  },

  detections({ outputs, tokenMap, image, manifest }) {
    const raw = Object.fromEntries(Object.entries(outputs).map(([name, path]) => [name, floats(path)]));
    const { found, presence } = postprocess(raw, tokenMap, image.size, image.shape, manifest);
    return { found: toImage(found, image, manifest), presence };
  },
};

const results = [];
for (const { kind, ...job } of jobs) results.push(await kinds[kind](job));
console.log(JSON.stringify(results));
