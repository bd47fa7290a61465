// Images that a visitor drops, pastes or chooses.

import { PageError } from "./errors.js";

/** Call `onFile` with each image file that is dropped on the page, pasted, or chosen. */
export function listen({ choose, file, drop }, onFile) {
  choose.onclick = () => file.click();
  file.onchange = () => {
    if (file.files.length) onFile(file.files[0]);
    file.value = ""; // the same file can be chosen again
  };
  addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData?.files.length) onFile(clipboardData.files[0]);
  });
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0; // of the elements that were entered
  const show = (change) => {
    depth = change === 0 ? 0 : Math.max(0, depth + change);
    drop.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => hasFiles(event) && show(1));
  addEventListener("dragleave", (event) => hasFiles(event) && show(-1));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    show(0);
    if (event.dataTransfer.files.length) onFile(event.dataTransfer.files[0]);
  });
}

/** Return the size of an image file, from its header: nothing is decoded yet. */
export async function sizeOf(file) {
  if (!file.size) throw new PageError(`“${file.name}” is empty: choose another file.`);
  if (file.type === "image/svg+xml") {
    throw new PageError(`“${file.name}” is a drawing without pixels: save it as PNG.`);
  }
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
      image.src = url;
    });
    return { width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    throw new PageError(
      `“${file.name}” is not an image that this browser reads, or far too large for it: choose a ` +
        "JPEG, PNG, WebP or GIF file.",
    );
  } finally {
    URL.revokeObjectURL(url);
  }
}
