// The camera, one frame after the other.

const REASONS = {
  NotAllowedError: "The camera was refused. The browser's settings for this page allow it.",
  NotFoundError: "There is no camera on this device.",
  NotReadableError: "The camera cannot be read; another program may use it.",
};

/**
 * Shows the camera in a video element, the one at the back of a phone, and calls `onFrame` for one frame after the other.
 *
 * @param {HTMLVideoElement} video
 * @param {() => Promise<void>} onFrame Is awaited before it is called again.
 * @returns {Promise<{stop: () => void}>}
 * @throws {Error} With a message for people.
 */
export async function startCamera(video, onFrame) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("Browsers give the camera to pages from https:// or from localhost only.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    throw new Error(REASONS[error.name] ?? `The camera does not start: ${error.message}`, { cause: error });
  }
  video.srcObject = stream;
  await video.play();
  let running = true;
  (async () => {
    while (running) {
      await new Promise(requestAnimationFrame); // none while the page is hidden
      if (running && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) await onFrame();
    }
  })();
  return {
    stop() {
      running = false;
      stream.getTracks().forEach((track) => track.stop());
      video.srcObject = null;
    },
  };
}
