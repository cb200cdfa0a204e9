// Image files to pixels. Browsers decode them; what is to be avoided is that they "improve" the colors on the way.

import { dropAlpha } from "./preprocess.js";

const MAX_PIXELS = 120_000_000; // of an image, as in evaluation
const STRIP = 1 << 22; // pixels that a canvas has at most: phones refuse canvases of more than 16 million

/**
 * Reads the pixels of an image, turned upright as its EXIF orientation says, gray (1 channel) or RGB (3). Transparency is
 * dropped: a transparent pixel has the color that the file gives it.
 *
 * @param {Blob | CanvasImageSource} source
 * @param {number} channels
 * @returns {Promise<{data: Uint8Array, width: number, height: number}>}
 */
export async function readPixels(source, channels) {
  const bitmap = await createImageBitmap(source, {
    imageOrientation: "from-image",
    premultiplyAlpha: "none",
    colorSpaceConversion: "none", // the numbers in the file, whatever its color profile
  });
  try {
    const { width, height } = bitmap;
    if (width * height > MAX_PIXELS) throw new Error(`it has ${width}x${height} pixels, over ${MAX_PIXELS}`);
    const data = new Uint8Array(width * height * channels);
    const rows = Math.min(height, Math.max(1, Math.floor(STRIP / width)));
    const readStrip = stripReader(bitmap, rows);
    for (let y = 0; y < height; y += rows) {
      dropAlpha(readStrip(y, Math.min(rows, height - y)), channels, data, y * width * channels);
    }
    return { data, width, height };
  } finally {
    bitmap.close();
  }
}

/** A function from the first row and the number of rows to their bytes, RGBA. */
function stripReader(bitmap, rows) {
  const canvas = new OffscreenCanvas(bitmap.width, rows);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.globalCompositeOperation = "copy";
  return (y, count) => {
    context.drawImage(bitmap, 0, -y);
    const { data } = context.getImageData(0, 0, bitmap.width, count);
    return isOpaque(data) ? data : readTransparent(bitmap, y, count) ?? data;
  };
}

function isOpaque(rgba) {
  for (let i = 3; i < rgba.length; i += 4) if (rgba[i] !== 255) return false;
  return true;
}

/** Reads rows by WebGL: a canvas multiplies colors by their alpha, and has lost those of transparent pixels. */
function readTransparent(bitmap, y, count) {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl", { premultipliedAlpha: false });
  if (!gl || Math.max(bitmap.width, bitmap.height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
  const rgba = new Uint8Array(bitmap.width * count * 4);
  gl.readPixels(0, y, bitmap.width, count, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return rgba;
}

/** Reads an image that has the network's size already: its pixels, as `Classifier.run` takes them. */
export async function decodePng(url, channels) {
  return (await readPixels(await (await fetch(url)).blob(), channels)).data;
}
