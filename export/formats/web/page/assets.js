// The files that the application reads. In the single-file version the page carries them itself.

/**
 * Reads one of the application's files.
 *
 * @param {string} name As in its folder.
 * @returns {Promise<Uint8Array>}
 */
export async function readAsset(name) {
  const carried = document.getElementById(name)?.textContent; // gzip in base64
  if (!carried) {
    const response = await fetch(new URL(name, import.meta.url));
    if (!response.ok) throw new Error(`${name} cannot be read: the server says ${response.status}`);
    return bytesOf(response);
  }
  const compressed = (await fetch(`data:application/gzip;base64,${carried}`)).body;
  return bytesOf(new Response(compressed.pipeThrough(new DecompressionStream("gzip"))));
}

async function bytesOf(response) {
  return new Uint8Array(await response.arrayBuffer());
}

/** Reads one of the application's JSON files. */
export async function readJson(name) {
  return JSON.parse(new TextDecoder().decode(await readAsset(name)));
}

/** Whether the page carries its files itself. */
export function isSingleFile() {
  return document.getElementById("model.tflite") !== null;
}
