// Draw an image and its boxes on a canvas, with labels that do not cover each other.

import { labelColor, textColor } from "./palette.js";

const FONT = "600 13px system-ui, sans-serif";
const LABEL = { height: 19, padding: 5 };

const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;
const meet = (a, b) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

function fitText(context, name, score, limit) {
  for (let length = name.length; ; length--) {
    const text = `${name.slice(0, length)}${length < name.length ? "…" : ""} ${score}`;
    if (length <= 1 || context.measureText(text).width <= limit) return text;
  }
}

// Above the box, in it, below it, or beside it: the first place that is free. A label without one
// is left to the list beside the image.
function placeLabel(box, width, taken, canvas) {
  const { height } = LABEL;
  const [x1, y1, x2, y2] = box;
  const places = [[x1, y1 - height], [x1, y1], [x1, y2], [x1, y2 - height], [x2, y1], [x1 - width, y1]]
    .map(([x, y]) => ({ x, y, width, height }))
    .map((place) => ({
      ...place,
      x: Math.max(0, Math.min(place.x, canvas.width - width)),
      y: Math.max(0, Math.min(place.y, canvas.height - height)),
    }));
  return places.find((place) => !taken.some((other) => meet(place, other)));
}

/**
 * Draw.
 * @param canvas where; its size is set
 * @param limits {width, height} in CSS pixels, the largest size
 * @param shown {bitmap, width, height}: what to show of an image of that size
 * @param detections [{box, score, label, name}], best first
 * @param highlight the label, or the detection, that is not dimmed; null for all
 */
export function draw(canvas, limits, shown, detections, highlight) {
  const ratio = window.devicePixelRatio || 1;
  const scale = Math.min(limits.width / shown.width, limits.height / shown.height);
  const [width, height] = [shown.width * scale, shown.height * scale];
  canvas.style.width = `${width}px`;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.drawImage(shown.bitmap, 0, 0, canvas.width, canvas.height);
  context.scale(ratio, ratio);
  context.font = FONT;
  context.textBaseline = "middle";
  const isOn = (each) => highlight === null || highlight === each.label || highlight === each;
  // The best ones last, on top; those that are not dimmed above all.
  const order = [...detections].reverse().sort((a, b) => isOn(a) - isOn(b));
  for (const each of order) {
    const [x1, y1, x2, y2] = each.box.map((at) => at * scale);
    context.globalAlpha = isOn(each) ? 1 : 0.2;
    for (const [color, line] of [["rgb(0 0 0 / 55%)", 4], [css(labelColor(each.label)), 2.5]]) {
      context.strokeStyle = color;
      context.lineWidth = line;
      context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
  }
  const taken = [];
  for (const each of detections.filter(isOn)) {
    const text = fitText(context, each.name, each.score.toFixed(2), width - 2 * LABEL.padding);
    const box = each.box.map((at) => at * scale);
    const label = context.measureText(text).width + 2 * LABEL.padding;
    const place = placeLabel(box, label, taken, { width, height });
    if (!place) continue;
    taken.push(place);
    context.globalAlpha = 1;
    context.fillStyle = css(labelColor(each.label));
    context.fillRect(place.x, place.y, label, LABEL.height);
    context.fillStyle = textColor(labelColor(each.label));
    context.fillText(text, place.x + LABEL.padding, place.y + LABEL.height / 2 + 0.5);
  }
}

/** Return the smallest of the boxes at a position in pixels of the image, or null. */
export function detectionAt(detections, x, y) {
  const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
  const inside = detections.filter(
    ({ box }) => box[0] <= x && x <= box[2] && box[1] <= y && y <= box[3],
  );
  return inside.sort((a, b) => area(a) - area(b))[0] ?? null;
}
