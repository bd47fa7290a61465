// From pixels to the input of image.onnx, as glip/runtime/preprocess.py does, to the last bit. Pillow
// 13 rounds a few pixels of tall images in another way, by 1 of 255: it resizes the columns first.

const PRECISION = 22; // bits of Pillow's 8-bit coefficients
const STRIP = 64; // rows that are read at once

// Python's round: halves to the even neighbour.
function roundEven(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

function officialSize(height, width, { short, long }) {
  const low = Math.min(height, width);
  const high = Math.max(height, width);
  const target = (high / low) * short > long ? roundEven((long * low) / high) : short;
  const [small, large] =
    target < 1 ? [1, long] : [target, Math.trunc((target * high) / low)];
  return width < height ? [large, small] : [small, large];
}

/** Return [h, w], the size that an image of height x width is resized to. */
export function resizedSize(height, width, manifest) {
  if (!manifest.static) return officialSize(height, width, manifest.resize);
  const [high, wide] = manifest.static;
  const ratio = Math.min(high / height, wide / width);
  const fit = (length, limit) => Math.min(Math.max(Math.trunc(length * ratio), 1), limit);
  return [fit(height, high), fit(width, wide)];
}

/** Return [H, W], the size of the input with its padding. */
export function paddedSize([height, width], manifest) {
  const divisor = manifest.size_divisor;
  return manifest.static ?? [height, width].map((each) => Math.ceil(each / divisor) * divisor);
}

// Triangle filter, wider than a pixel where the image shrinks: for each target pixel the first
// source pixel and the weights.
function coefficients(from, to) {
  const scale = from / to;
  const support = Math.max(scale, 1);
  return Array.from({ length: to }, (_, at) => {
    const center = (at + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const last = Math.min(Math.trunc(center + support + 0.5), from);
    const weights = Array.from({ length: last - first }, (_, index) =>
      Math.max(1 - Math.abs((index + first - center + 0.5) * (1 / support)), 0),
    );
    const sum = weights.reduce((a, b) => a + b, 0);
    const whole = weights.map((weight) => Math.trunc((weight / sum) * (1 << PRECISION) + 0.5));
    return { first, weights: Int32Array.from(whole) };
  });
}

/**
 * Resize with Pillow's antialiased bilinear filter.
 * @param source {height, width, rows(y, count)}, where rows gives the RGBA bytes of some rows
 * @returns the RGB bytes of newHeight x newWidth pixels
 */
export async function resize(source, newHeight, newWidth) {
  const { height, width } = source;
  const half = 1 << (PRECISION - 1);
  const columns = coefficients(width, newWidth);
  const stride = newWidth * 3;
  const narrow = new Uint8Array(height * stride);
  for (let top = 0; top < height; top += STRIP) {
    const count = Math.min(STRIP, height - top);
    const rgba = await source.rows(top, count);
    for (let row = 0; row < count; row++) {
      let to = (top + row) * stride;
      for (const { first, weights } of columns) {
        let [red, green, blue] = [half, half, half];
        let from = (row * width + first) * 4;
        for (let index = 0; index < weights.length; index++, from += 4) {
          const weight = weights[index];
          red += weight * rgba[from];
          green += weight * rgba[from + 1];
          blue += weight * rgba[from + 2];
        }
        narrow[to++] = Math.min(red >> PRECISION, 255);
        narrow[to++] = Math.min(green >> PRECISION, 255);
        narrow[to++] = Math.min(blue >> PRECISION, 255);
      }
    }
  }
  const out = new Uint8Array(newHeight * stride);
  coefficients(height, newHeight).forEach(({ first, weights }, y) => {
    for (let at = 0; at < stride; at++) {
      let sum = half;
      for (let index = 0; index < weights.length; index++) {
        sum += weights[index] * narrow[(first + index) * stride + at];
      }
      out[y * stride + at] = Math.min(sum >> PRECISION, 255);
    }
  });
  return out;
}

/** Normalise RGB bytes and pad them with zeros, right and bottom: (3, H, W) float32. */
export function normalizeAndPad(rgb, [height, width], [high, wide], manifest) {
  const out = new Float32Array(3 * high * wide);
  for (let channel = 0; channel < 3; channel++) {
    const from = manifest.channels === "bgr" ? 2 - channel : channel;
    const mean = Math.fround(manifest.mean[channel]);
    const std = Math.fround(manifest.std[channel]);
    const table = Float32Array.from({ length: 256 }, (_, value) => Math.fround(value - mean) / std);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        out[(channel * high + y) * wide + x] = table[rgb[(y * width + x) * 3 + from]];
      }
    }
  }
  return out;
}
