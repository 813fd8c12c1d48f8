// The ways in which photos come: files and drops, a folder of this machine, an archive, a video, the camera, labels.

import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { getJson, postJson } from "./api.js";
import { CameraDialog } from "./camera.js";
import { Dialog } from "./dialog.js";
import { FolderDialog } from "./folder_dialog.js";
import { makeId } from "./ids.js";
import { tellError } from "./notices.js";
import { addFiles, listDropped } from "./uploads.js";
import { say, sayCount } from "./words.js";

const PHOTOS = "image/*,.heic,.heif,.tif,.tiff,.bmp,.webp";
const VIDEOS = "video/*,.mkv,.avi,.mts,.wmv,.flv";
const POLL_MS = 700;

/** All ways to add photos, and what became of the last ones. */
export function AddPhotos({ project }) {
  const [work, setWork] = useState(null); // { done, total } while photos are being added
  const [result, setResult] = useState(null);
  const [dialog, setDialog] = useState(null);
  const run = async (act) => {
    setResult(null);
    setDialog(null);
    setWork({ done: 0, total: 0 });
    try {
      setResult(await act((done, total) => setWork({ done, total })));
    } catch (error) {
      tellError(error);
    }
    setWork(null);
    await project.refresh().catch(() => {});
  };
  const close = () => setDialog(null);
  const send = (files, every, changed) => run((onProgress) => addFiles(files, { every, changed, onProgress }));
  return html`<div class="add-photos">
    <${DropZone} isBusy=${work !== null} onFiles=${send} />
    <div class="ways">
      <button type="button" disabled=${work !== null} onClick=${() => setDialog("folder")}>${say("add.folder")}</button>
      <${FileButton} label=${say("add.zip")} accept=".zip,application/zip" isBusy=${work !== null} onFiles=${send} />
      <button type="button" disabled=${work !== null} onClick=${() => setDialog("video")}>${say("add.video")}</button>
      <button type="button" disabled=${work !== null} onClick=${() => setDialog("camera")}>${say("add.camera")}</button>
      <button type="button" disabled=${work !== null} onClick=${() => setDialog("import")}>${say("add.labels")}</button>
    </div>
    ${work && html`<${Working} work=${work} />`}
    ${result && html`<${Result} result=${result} />`}
    ${dialog === "folder" && html`<${FolderDialog} title=${say("add.folder")} help=${say("add.folder_help")} action=${say("add.folder_add")} onClose=${close}
      onChoose=${(folder) => run(() => postJson("api/photos/link", { folder }))} />`}
    ${dialog === "import" && html`<${FolderDialog} title=${say("add.labels")} help=${say("add.labels_help")} action=${say("add.labels_add")} onClose=${close}
      formats=${project.about.formats} onChoose=${(folder, format) => run(() => postJson("api/import", { key: makeId(), folder, format }))} />`}
    ${dialog === "video" && html`<${VideoDialog} onClose=${close} onVideo=${send} />`}
    ${dialog === "camera" && html`<${CameraDialog} onClose=${close} onPhoto=${async (file) => {
      setResult(await addFiles([file], {}));
      await project.refresh();
    }} />`}
  </div>`;
}

/** Where photos are dropped, or chosen as files. */
function DropZone({ isBusy, onFiles }) {
  const [isOver, setOver] = useState(false);
  const input = useRef(null);
  const drop = async (event) => {
    event.preventDefault();
    setOver(false);
    if (!isBusy) onFiles(await listDropped(event.dataTransfer));
  };
  const over = (event) => {
    event.preventDefault();
    setOver(true);
  };
  const choose = () => {
    if (input.current.files.length) onFiles([...input.current.files]);
    input.current.value = "";
  };
  return html`<div class=${`drop ${isOver ? "over" : ""}`} onDragOver=${over} onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <p>${say("add.drop")}</p>
    <input ref=${input} id="photo-files" class="visually-hidden" type="file" multiple accept=${`${PHOTOS},.zip`} disabled=${isBusy} onChange=${choose} />
    <label class="button main" for="photo-files">${say("add.files")}</label>
  </div>`;
}

function FileButton({ label, accept, isBusy, onFiles }) {
  const input = useRef(null);
  const choose = () => {
    if (input.current.files.length) onFiles([...input.current.files]);
    input.current.value = "";
  };
  return html`<button type="button" disabled=${isBusy} onClick=${() => input.current.click()}>${label}</button>
    <input ref=${input} hidden type="file" accept=${accept} aria-label=${label} onChange=${choose} />`;
}

/** How far the photos are: those that this page sends, or those that the server reads. */
function Working({ work }) {
  const [stage, setStage] = useState(null);
  useEffect(() => {
    const timer = setInterval(() => getJson("api/intake").then((answer) => setStage(answer.stage), () => {}), POLL_MS);
    return () => clearInterval(timer);
  }, []);
  const { done, total } = stage ?? work;
  return html`<div class="working" role="status">
    <p>${total ? say("add.progress", { done, total }) : say("add.working")}</p>
    <progress max=${total || 1} value=${total ? done : null} aria-label=${say("add.working")}></progress>
  </div>`;
}

/** What became of the photos: how many are new, known, and which cannot be used and why. */
function Result({ result }) {
  const { rejected } = result;
  const lines = [];
  if (result.labels !== undefined) lines.push(sayCount("add.imported", result.labels, { classes: result.classes }));
  lines.push(sayCount("add.added", result.added ?? result.photos ?? 0));
  if (result.known) lines.push(sayCount("add.known", result.known));
  if (result.kept) lines.push(sayCount("add.kept", result.kept));
  return html`<div class="result" role="status">
    ${lines.map((line) => html`<p key=${line}>${line}</p>`)}
    ${rejected?.count > 0 && html`<details open>
      <summary>${sayCount("add.rejected", rejected.count)}</summary>
      <ul>${rejected.first.map((line) => html`<li key=${line}>${line}</li>`)}</ul>
      ${rejected.count > rejected.first.length && html`<p>${say("add.more", { count: rejected.count - rejected.first.length })}</p>`}
    </details>`}
  </div>`;
}

function VideoDialog({ onClose, onVideo }) {
  const file = useRef(null);
  const every = useRef(null);
  const changed = useRef(null);
  const submit = (event) => {
    event.preventDefault();
    onVideo([...file.current.files], Number(every.current.value), changed.current.checked);
  };
  return html`<${Dialog} title=${say("add.video")} onClose=${onClose}>
    <form onSubmit=${submit}>
      <label class="field">${say("add.video_file")}<input ref=${file} type="file" required accept=${VIDEOS} /></label>
      <label class="field">${say("add.video_every")}<input ref=${every} type="number" required min="0.04" max="3600" step="any" defaultValue="1" /></label>
      <label class="check"><input ref=${changed} type="checkbox" />${say("add.video_changed")}</label>
      <p class="quiet">${say("add.video_help")}</p>
      <div class="buttons"><button type="button" onClick=${onClose}>${say("cancel")}</button><button class="main">${say("add.video_add")}</button></div>
    </form>
  <//>`;
}
