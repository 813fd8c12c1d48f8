// What the server does not have: changes that wait, and changes that it did not take. Told wherever the page shows,
// counts or exports what the server has, with links to the photos.

import { html, useEffect, useState } from "./vendor/preact.js";
import { photoOf } from "./edit_queue.js";
import { useEvents } from "./hooks.js";
import { say, sayCount } from "./words.js";

const PATIENCE_MS = 700; // an edit is usually saved sooner
const MOST_LINKS = 12;

/** Whether the server has all edits, also those of other tabs, and all acts, once it had a few seconds to take them. */
export async function whenAllSaved({ queue, acts }) {
  await queue.takeStored();
  return (await queue.whenSaved()) && acts.whenSaved();
}

/** How many edits and acts the server does not have yet. */
export const countUnsaved = ({ queue, acts }) => queue.status.count + acts.status.count;

/** Return what is known of a photo, with the edits of it that wait. */
export function withUnsaved(photo, edits) {
  return edits.reduce((shown, { target, before, after }) => {
    if (target.kind === "photo") return { ...shown, ...after };
    if (target.kind === "shape") return { ...shown, shapes: Math.max(0, shown.shapes + Number(Boolean(after)) - Number(Boolean(before))) };
    return shown;
  }, photo);
}

/** Says what is not saved yet, and what was not taken; on all pages but that of one photo. */
export function Unsaved({ queue, acts, list, project }) {
  useEvents(queue, "status");
  useEvents(acts, "status");
  useEvents(list, "change");
  const count = countUnsaved({ queue, acts });
  const isFailed = queue.status.name === "failed" || acts.status.name === "failed";
  const isLate = useLate(count > 0);
  const refused = queue.conflicts;
  useEffect(() => {
    list.read(listPhotos([...queue.waiting, ...refused.map((one) => one.edit)]));
  }, [count, refused.length]);
  return html`
    ${count > 0 && (isFailed || isLate) && html`<section class="banner unsaved" aria-label=${say("unsaved.waiting")}>
      <p>${sayCount("unsaved.count", count)}</p>
      <${PhotoLinks} ids=${listPhotos(queue.waiting)} list=${list} />
    </section>`}
    ${refused.length + acts.refused.length > 0 && html`<${Refused} queue=${queue} acts=${acts} list=${list} project=${project} />`}`;
}

function useLate(isWaiting) {
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    if (!isWaiting) return setLate(false);
    const timer = setTimeout(() => setLate(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [isWaiting]);
  return isLate;
}

const listPhotos = (edits) => [...new Set(edits.map(photoOf).filter((id) => id !== null))];

function PhotoLinks({ ids, list }) {
  if (!ids.length) return null;
  return html`<ul class="photo-links">
    ${ids.slice(0, MOST_LINKS).map((id) => html`<li key=${id}><a href=${`#/photo/${id}`}>${list.get(id)?.path ?? say("unsaved.photo", { id })}</a></li>`)}
    ${ids.length > MOST_LINKS && html`<li>${say("add.more", { count: ids.length - MOST_LINKS })}</li>`}
  </ul>`;
}

/** What the server did not take: on a photo the person decides there; what belongs to no photo can only be dropped. */
function Refused({ queue, acts, list, project }) {
  const ofPhotos = queue.conflicts.filter(({ edit }) => photoOf(edit) !== null);
  const others = queue.conflicts.filter(({ edit }) => photoOf(edit) === null);
  return html`<section class="banner unsaved" aria-label=${say("unsaved.refused")}>
    ${ofPhotos.length > 0 && html`<p>${sayCount("unsaved.conflicts", ofPhotos.length)}</p>`}
    <${PhotoLinks} ids=${listPhotos(ofPhotos.map(({ edit }) => edit))} list=${list} />
    ${others.map(({ key, edit, outcome }) => html`<p key=${key}>${say("unsaved.class", { name: (edit.after ?? edit.before)?.name ?? "" })} ${outcome.message ?? ""}
      <button type="button" class="small" onClick=${() => queue.forget([key])}>${say("unsaved.drop")}</button></p>`)}
    ${acts.refused.map(({ key, message }) => html`<p key=${key}>${say("unsaved.act")} ${message}
      <button type="button" class="small" onClick=${() => acts.forget(key)}>${say("unsaved.seen")}</button></p>`)}
  </section>`;
}
