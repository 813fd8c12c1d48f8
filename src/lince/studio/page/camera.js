// Takes photos with the camera of this device.

import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { RequestError } from "./api.js";
import { Dialog } from "./dialog.js";
import { tellError } from "./notices.js";
import { say, sayCount } from "./words.js";

const QUALITY = 0.95;
const REASONS = { InsecureError: "insecure", NotAllowedError: "refused", NotFoundError: "none", OverconstrainedError: "none" };

/** A dialog with what the camera sees; `onPhoto` gets each photo as a file. */
export function CameraDialog({ onPhoto, onClose }) {
  const video = useRef(null);
  const [problem, setProblem] = useState("");
  const [count, setCount] = useState(0);
  useEffect(() => {
    let stream = null;
    let isClosed = false;
    const begin = async () => {
      try {
        stream = await openStream();
      } catch (error) {
        setProblem(REASONS[error.name] ?? "broken");
        return;
      }
      if (isClosed) return stop(stream);
      video.current.srcObject = stream;
      await video.current.play().catch(() => {});
    };
    begin();
    return () => {
      isClosed = true;
      stop(stream);
    };
  }, []);
  const take = async () => {
    const photo = await captureFrame(video.current);
    if (!photo) return setProblem("broken");
    try {
      await onPhoto(photo);
      setCount((old) => old + 1);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      tellError(error);
    }
  };
  return html`<${Dialog} title=${say("add.camera")} onClose=${onClose} wide>
    ${problem ? html`<p class="error" role="alert">${say(`camera.${problem}`)}</p>` : html`<video ref=${video} muted playsinline aria-label=${say("camera.picture")}></video>`}
    <p role="status">${count ? sayCount("camera.taken", count) : ""}</p>
    <div class="buttons">
      <button type="button" onClick=${onClose}>${say("close")}</button>
      <button type="button" class="main" disabled=${problem !== ""} onClick=${take}>${say("camera.take")}</button>
    </div>
  <//>`;
}

function openStream() {
  if (!window.isSecureContext) throw new DOMException("", "InsecureError");
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "NotFoundError");
  return navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
}

const stop = (stream) => stream?.getTracks().forEach((track) => track.stop());

async function captureFrame(video) {
  if (!video?.videoWidth) return null;
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  const stamp = new Date().toISOString().slice(0, 19).replace(/[-:T]/g, "");
  return new File([blob], `camera-${stamp}.jpg`, { type: "image/jpeg" });
}
