// Detections of one caption in one image, from the raw outputs, as glip/runtime/postprocess.py.
// Boxes inside are inclusive: the width is x2 - x1 + 1.

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const byScore = (a, b) => b.score - a.score;

function decode(anchor, d, m) {
  const axis = (low, high, shift, growth, i) => {
    const size = high - low + 1;
    const center = (shift / m.box_weights[i]) * size + (low + high) / 2;
    const ratio = Math.exp(Math.min(growth / m.box_weights[i + 2], m.max_log_ratio));
    const half = 0.5 * (ratio * size - 1);
    return [center - half, center + half];
  };
  const [x1, x2] = axis(anchor[0], anchor[2], d[0], d[2], 0);
  const [y1, y2] = axis(anchor[1], anchor[3], d[1], d[3], 1);
  return [x1, y1, x2, y2];
}

function overlaps(a, b, threshold) {
  const area = (r) => (r[2] - r[0] + 1) * (r[3] - r[1] + 1);
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]) + 1;
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]) + 1;
  const shared = Math.max(width, 0) * Math.max(height, 0);
  return shared > threshold * (area(a) + area(b) - shared);
}

// Keep the best of the boxes of one phrase that overlap. `found` is sorted, best first.
function suppress(found, threshold) {
  const kept = new Map();
  return found.filter((each) => {
    const own = kept.get(each.label);
    if (!own) kept.set(each.label, [each]);
    else if (own.some((better) => overlaps(better.box, each.box, threshold))) return false;
    else own.push(each);
    return true;
  });
}

/**
 * Return {found: [{box, score, label}], presence}: detections, best first, and the best score of
 * each phrase at any position.
 * @param outputs token_logits (N, T), deltas (N, 4) and centerness (N), flat arrays
 * @param tokenMap the tokens of each phrase
 * @param size [height, width] of the padded input
 * @param shape [height, width] of the image in it
 * @param m the manifest
 */
export function postprocess({ token_logits, deltas, centerness }, tokenMap, size, shape, m) {
  const tokens = token_logits.length / centerness.length;
  const presence = tokenMap.map(() => 0);
  const probabilities = new Float64Array(tokens);
  const found = [];
  let start = 0;
  for (const stride of m.strides) {
    const rows = Math.ceil(size[0] / stride);
    const columns = Math.ceil(size[1] / stride);
    const low = stride * (m.anchor_center - m.anchor_scale / 2);
    const high = stride * (m.anchor_center + m.anchor_scale / 2) - 1;
    const candidates = [];
    for (let at = 0; at < rows * columns; at++) {
      const n = start + at;
      const center = sigmoid(centerness[n]);
      for (let t = 0; t < tokens; t++) probabilities[t] = sigmoid(token_logits[n * tokens + t]);
      tokenMap.forEach((own, label) => {
        let probability = 0;
        for (const t of own) probability += probabilities[t] / own.length;
        const score = probability * center;
        if (score > presence[label]) presence[label] = score;
        if (probability > m.score_thr && score >= 0) candidates.push({ at, label, score }); // no NaN
      });
    }
    for (const { at, label, score } of candidates.sort(byScore).slice(0, m.nms_pre)) {
      const x = (at % columns) * stride;
      const y = Math.floor(at / columns) * stride;
      const n = (start + at) * 4;
      const box = decode([x + low, y + low, x + high, y + high], deltas.slice(n, n + 4), m).map(
        (value, i) => Math.min(Math.max(value, 0), shape[1 - (i % 2)] - 1),
      );
      const small = Math.min(box[2] - box[0], box[3] - box[1]) + 1 < m.min_bbox_size;
      if (!small) found.push({ box, score: Math.sqrt(score), label });
    }
    start += rows * columns;
  }
  const kept = suppress(found.sort(byScore), m.iou_threshold).slice(0, m.max_per_img);
  return { found: kept, presence: presence.map(Math.sqrt) };
}
