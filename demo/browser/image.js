// Decode an image file in the browser to the pixels that Python reads: upright, without colour
// management, with the colours of transparent pixels.

import { PageError } from "./errors.js";

const MAX_SIDE = 16384; // of a canvas, in every browser
const MAX_PIXELS = 100_000_000; // 400 MB
const RAW = { premultiplyAlpha: "none", colorSpaceConversion: "none" };

/** Check the size before an image is decoded, and return an ImageBitmap. */
export async function openImage(blob, name, { width, height }) {
  if (width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS) {
    throw new PageError(
      `“${name}” has ${width} × ${height} pixels: expected at most ${MAX_SIDE} on each side and ` +
        `${MAX_PIXELS / 1e6} million in all. Make it smaller.`,
    );
  }
  try {
    return await createImageBitmap(blob, RAW);
  } catch {
    throw new PageError(
      `“${name}” cannot be read: it is incomplete or damaged, or too large for the memory. Copy ` +
        "it again, or make it smaller.",
    );
  }
}

/** Return {height, width, rows(y, count)} of a bitmap, for resize(). */
export function pixelsOf(bitmap) {
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  async function rows(y, count) {
    canvas.height = count; // also clears it
    context.imageSmoothingEnabled = false;
    context.drawImage(bitmap, 0, y, width, count, 0, 0, width, count);
    const { data } = context.getImageData(0, 0, width, count);
    for (let at = 3; at < data.length; at += 4) {
      if (data[at] !== 255) return unpremultiplied(bitmap, y, count);
    }
    return data;
  }
  return { width, height, rows };
}

let gl;

// A 2D canvas stores colours multiplied by alpha, which loses those of transparent pixels; a
// texture does not.
async function unpremultiplied(bitmap, y, count) {
  gl ??= new OffscreenCanvas(1, 1).getContext("webgl");
  const limit = gl ? gl.getParameter(gl.MAX_TEXTURE_SIZE) : 0;
  const out = new Uint8Array(bitmap.width * count * 4);
  if (!limit) throw new PageError("Transparent images need WebGL: save the image as JPEG.");
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  for (let x = 0; x < bitmap.width; x += limit) {
    const width = Math.min(limit, bitmap.width - x);
    const part = await createImageBitmap(bitmap, x, y, width, count, RAW);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, part);
    const texture = gl.getParameter(gl.TEXTURE_BINDING_2D);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    const pixels = new Uint8Array(width * count * 4);
    gl.readPixels(0, 0, width, count, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    for (let row = 0; row < count; row++) {
      const own = pixels.subarray(row * width * 4, (row + 1) * width * 4);
      out.set(own, (row * bitmap.width + x) * 4);
    }
    part.close();
  }
  gl.deleteFramebuffer(gl.getParameter(gl.FRAMEBUFFER_BINDING));
  gl.deleteTexture(gl.getParameter(gl.TEXTURE_BINDING_2D));
  return out;
}

/** Return a bitmap of at most `side` pixels on each side, to show. */
export function thumbnail(bitmap, side) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  return createImageBitmap(bitmap, {
    resizeWidth: Math.max(1, Math.round(bitmap.width * scale)),
    resizeHeight: Math.max(1, Math.round(bitmap.height * scale)),
    resizeQuality: "high",
  });
}
