// The detections as text: a button for each class name, a table, and a JSON file.

import { labelColor } from "./palette.js";

function element(tag, content, properties = {}) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...[content].flat());
  return made;
}

/**
 * List the class names, those that were found first.
 * @param result {names, presence}
 * @param detections those of the threshold or more
 * @param onPoint called with a label that is pointed at, or null
 * @param onToggle called with a label whose button is pressed
 */
export function listPhrases(list, result, detections, pressed, { onPoint, onToggle }) {
  const counts = result.names.map(() => 0);
  for (const { label } of detections) counts[label] += 1;
  const labels = result.names.map((_, label) => label);
  labels.sort((a, b) => (counts[b] > 0) - (counts[a] > 0));
  const focused = list.contains(document.activeElement) && document.activeElement.dataset.label;
  list.replaceChildren(
    ...labels.map((label) => {
      const best = result.presence[label].toFixed(2);
      const count = counts[label];
      const told = count ? `${count} ×, best ${best}` : `not found, best ${best}`;
      const button = element(
        "button",
        [element("i", []), result.names[label].name, element("small", told)],
        { type: "button", className: count ? "" : "absent", disabled: !count },
      );
      button.dataset.label = label;
      button.setAttribute("aria-pressed", String(pressed === label));
      button.style.setProperty("--own", `rgb(${labelColor(label)})`);
      button.onpointerenter = () => onPoint(label);
      button.onpointerleave = () => onPoint(null);
      button.onclick = () => onToggle(label);
      return element("li", button);
    }),
  );
  if (focused) list.querySelector(`[data-label="${focused}"]`)?.focus();
}

/** Fill the table of boxes. */
export function listBoxes(body, detections) {
  body.replaceChildren(
    ...detections.map(({ name, score, box }) => {
      const cells = [name, score.toFixed(3), ...box.map((at) => at.toFixed(1))];
      return element("tr", cells.map((cell) => element("td", cell)));
    }),
  );
}

/** Return what `glip detect` saves of an image. */
export function toRecord(image, result, detections, model, threshold) {
  const round = (value, digits) => Number(value.toFixed(digits));
  return {
    image: image.name,
    width: image.width,
    height: image.height,
    prompt: result.names.map(({ words }) => words).join(". "),
    model,
    score_thr: threshold,
    labels: detections.map(({ label }) => label),
    label_names: detections.map(({ name }) => name),
    scores: detections.map(({ score }) => round(score, 4)),
    bboxes: detections.map(({ box }) => box.map((at) => round(at, 2))),
    phrases: result.names.map(({ name }) => name),
    presence: result.presence.map((score) => round(score, 4)),
  };
}

/** Download a record as a JSON file named after its image. */
export function saveRecord(record) {
  const url = URL.createObjectURL(
    new Blob([`${JSON.stringify(record)}\n`], { type: "application/json" }),
  );
  const name = record.image.replace(/\.[^.]*$/, "") || "image";
  element("a", [], { href: url, download: `${name}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
