// Class names to tokens of captions, as glip/text does: the same names, ids and chunks.

import { PageError, quote } from "./errors.js";

// What Python's str.split() and str.isspace() take for white space; \s differs.
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const SPACES = new RegExp(`${SPACE}+`, "u");
const NAME_END = new RegExp(`\\.+(?=${SPACE}|$)`, "u");
const CJK = /([\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}])/gu;
const PUNCTUATION = /([!-/:-@[-`{-~]|\p{P})/gu;

const words = (text) => text.split(SPACES).filter(Boolean);

/**
 * Split 'bench . car .' into names: [{name, words}], the name as it is written, and as the caption
 * has it. A name ends at periods before a space or the end.
 */
export function splitNames(text) {
  if (/\p{Cs}/u.test(text)) {
    throw new PageError("The text is not valid Unicode: type the names again.");
  }
  const strip = new RegExp(`^${SPACE}+|${SPACE}+$`, "gu");
  const names = text.split(NAME_END).map((name) => name.replace(strip, "")).filter(Boolean);
  return names.map((name, index) => {
    const cleaned = words(name.replaceAll("_", " ").replace(/\([^)\n]*\)/g, "")).join(" ");
    if (!cleaned) {
      throw new PageError(
        `Class name ${index + 1}, ${quote(name)}, is empty without its parentheses: write words, ` +
          "such as “traffic light”.",
      );
    }
    return { name, words: cleaned };
  });
}

/** The tokenizer of an exported model. */
export class Tokenizer {
  /** @param {object} file the content of tokenizer.json */
  constructor(file) {
    const { model, normalizer } = file;
    const isKnown = model?.type === "WordPiece" && model.continuing_subword_prefix === "##";
    if (!isKnown || normalizer?.type !== "BertNormalizer" || !normalizer.lowercase) {
      throw new PageError(
        "The model's tokenizer.json is not the lowercase WordPiece tokenizer of `glip export`: " +
          "export the model again.",
      );
    }
    this.vocab = new Map(Object.entries(model.vocab));
    this.maxCharacters = model.max_input_chars_per_word;
    this.unknown = this.vocab.get(model.unk_token);
  }

  /**
   * Return the token ids of a text, without [CLS] and [SEP]. Scripts that are newer than the tables
   * of the package tokenizers (Unicode 8) can differ: no vocabulary has them.
   */
  encode(text) {
    const spaced = text.replace(/[\t\n\r\p{Zs}\u2028\u2029]/gu, " ");
    const clean = spaced.replace(/[\ufffd\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, "");
    const plain = clean.replace(CJK, " $1 ").normalize("NFD").replace(/\p{Mn}/gu, "");
    // One character at a time: in a word, JavaScript lowers the last sigma in another way.
    const lower = [...plain].map((each) => each.toLowerCase()).join("");
    return words(lower.replace(PUNCTUATION, " $1 ")).flatMap((word) => this.#pieces([...word]));
  }

  #pieces(characters) {
    if (characters.length > this.maxCharacters) return [this.unknown];
    const ids = [];
    for (let start = 0, end; start < characters.length; start = end) {
      let id;
      for (end = characters.length; end > start; end--) {
        id = this.vocab.get((start ? "##" : "") + characters.slice(start, end).join(""));
        if (id !== undefined) break;
      }
      if (id === undefined) return [this.unknown];
      ids.push(id);
    }
    return ids;
  }
}

/**
 * Split names into captions: at most `chunked_size` names and `max_tokens` tokens in each.
 * @returns [{ids, tokenMap, labels}]: token ids with [CLS] and [SEP], the tokens of each name, and
 *   its index in `names`.
 */
export function makeCaptions(names, tokenizer, { max_tokens, chunked_size }) {
  const [start, end, period] = ["[CLS]", "[SEP]", "."].map((token) => tokenizer.vocab.get(token));
  const tokens = names.map(({ name, words: text }) => {
    const ids = tokenizer.encode(text);
    if (!ids.length) throw new PageError(`${quote(name)} has no token: write words.`);
    if (ids.length + 2 > max_tokens) {
      throw new PageError(
        `${quote(name)} alone takes ${ids.length + 2} tokens, and the model reads ${max_tokens}: ` +
          "shorten it.",
      );
    }
    return ids;
  });
  const captions = [];
  const count = chunked_size > 0 ? chunked_size : names.length;
  tokens.forEach((ids, label) => {
    const last = captions.at(-1);
    const isFull = !last || label % count === 0 || last.ids.length + ids.length + 2 > max_tokens;
    const caption = isFull ? { ids: [start], tokenMap: [], labels: [] } : last;
    if (isFull) captions.push(caption);
    else caption.ids.push(period);
    caption.tokenMap.push(ids.map((_, index) => caption.ids.length + index));
    caption.labels.push(label);
    caption.ids.push(...ids);
  });
  for (const { ids } of captions) ids.push(end);
  return captions;
}

/** Return the names of which the vocabulary knows nothing: the model cannot tell them apart. */
export function unknownNames(names, tokenizer) {
  return names
    .filter(({ words: text }) => tokenizer.encode(text).every((id) => id === tokenizer.unknown))
    .map(({ name }) => name);
}
