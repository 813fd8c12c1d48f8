// Takes a photo with the camera, and says why where it cannot.

import { at, say } from "./words.js";

/** Let the button open the camera; `taken` gets the photo as a file, `failed` the reason why there is none. */
export function camera(taken, failed) {
  const [dialog, button] = [at("camera"), at("use-camera")];
  const video = dialog.querySelector("video");
  let stream = null;
  button.addEventListener("click", async () => {
    try {
      stream = await opened();
    } catch (error) {
      failed(say(why(error)));
      return;
    }
    video.srcObject = stream;
    dialog.showModal();
    await video.play().catch(() => {});
  });
  at("shut").addEventListener("click", () => dialog.close());
  at("shoot").addEventListener("click", async () => {
    const photo = await still(video);
    dialog.close();
    if (photo) taken(photo);
    else failed(say("camera-broken"));
  });
  dialog.addEventListener("close", () => {
    stream?.getTracks().forEach((track) => track.stop());
    video.srcObject = stream = null;
    button.focus();
  });
}

function opened() {
  if (!window.isSecureContext) throw new DOMException("", "InsecureError");
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "NotFoundError");
  return navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
}

function why(error) {
  const known = {
    InsecureError: "camera-insecure",
    NotAllowedError: "camera-refused",
    NotFoundError: "camera-none",
    OverconstrainedError: "camera-none",
  };
  return known[error.name] ?? "camera-broken";
}

function still(video) {
  if (!video.videoWidth) return Promise.resolve(null);
  const sheet = document.createElement("canvas");
  sheet.width = video.videoWidth;
  sheet.height = video.videoHeight;
  sheet.getContext("2d").drawImage(video, 0, 0);
  return new Promise((done) => sheet.toBlob(done, "image/jpeg", 0.95));
}
