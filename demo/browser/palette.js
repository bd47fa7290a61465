// Colours of labels: those of glip/visualization/palette.py.

const BASE = [
  [238, 67, 52], [40, 140, 249], [255, 185, 4], [34, 190, 84], [212, 67, 229], [3, 190, 209],
  [229, 133, 9], [132, 84, 255], [168, 214, 7], [255, 120, 180], [0, 150, 132], [251, 242, 68],
  [178, 24, 60], [164, 207, 252], [158, 96, 49], [110, 240, 186], [60, 63, 208], [201, 155, 255],
  [137, 144, 29], [16, 112, 48], [229, 178, 166], [138, 30, 150], [221, 2, 136], [56, 112, 165],
];
const GOLDEN = 0.6180339887498949;
const SHADES = [[0.85, 0.95], [0.5, 1], [0.75, 0.75], [0.6, 0.8]]; // saturation, value

/** Return the [red, green, blue] of a label. */
export function labelColor(label) {
  if (label < BASE.length) return BASE[label];
  const step = label - BASE.length;
  const [saturation, value] = SHADES[step % SHADES.length];
  const hue = (step * GOLDEN) % 1;
  return [5, 3, 1].map((offset) => {
    const k = (offset + hue * 6) % 6;
    const channel = value - value * saturation * Math.max(Math.min(k, 4 - k, 1), 0);
    return Math.round(channel * 255);
  });
}

/** Return black or white, whichever is more readable on a colour. */
export function textColor(color) {
  const [red, green, blue] = color
    .map((channel) => channel / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.3 ? "#000" : "#fff";
}
