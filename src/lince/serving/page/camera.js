// Takes a photo with the camera.

import { byId } from "./dom.js";
import { text } from "./texts.js";

const JPEG_QUALITY = 0.95;
const ERROR_TEXTS = {
  InsecureError: "camera-insecure",
  NotAllowedError: "camera-refused",
  NotFoundError: "camera-none",
  OverconstrainedError: "camera-none",
};

/** Let the button open the camera; `onPhoto` gets the photo as a file, `onError` the reason why there is none. */
export function connectCamera(onPhoto, onError) {
  const [dialog, button] = [byId("camera"), byId("use-camera")];
  const video = dialog.querySelector("video");
  let stream = null;
  button.addEventListener("click", async () => {
    try {
      stream = await openStream();
    } catch (error) {
      onError(text(ERROR_TEXTS[error.name] ?? "camera-broken"));
      return;
    }
    video.srcObject = stream;
    dialog.showModal();
    await video.play().catch(() => {});
  });
  byId("close-camera").addEventListener("click", () => dialog.close());
  byId("take-photo").addEventListener("click", async () => {
    const photo = await captureFrame(video);
    dialog.close();
    if (photo) onPhoto(photo);
    else onError(text("camera-broken"));
  });
  dialog.addEventListener("close", () => {
    stream?.getTracks().forEach((track) => track.stop());
    video.srcObject = stream = null;
    button.focus();
  });
}

function openStream() {
  if (!window.isSecureContext) throw new DOMException("", "InsecureError");
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "NotFoundError");
  return navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
}

/** Return the frame that `video` shows as a JPEG file; null where it shows none. */
function captureFrame(video) {
  if (!video.videoWidth) return Promise.resolve(null);
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
}
