// A plain page of one photo, for browsers in which the annotator cannot be loaded.

import { html, useEffect } from "./vendor/preact.js";
import { goTo } from "./router.js";
import { say } from "./words.js";
import { useEvents } from "./hooks.js";

/** Shows a photo with its name, and leads to the next and the previous one. */
export function PhotoPage({ photoId, ids, list }) {
  useEvents(list, "change");
  useEffect(() => {
    list.read([photoId]);
  }, [photoId, list.get(photoId)?.version]);
  const place = ids.indexOf(photoId);
  const photo = list.get(photoId);
  const open = (next) => ids[next] !== undefined && goTo("photo", ids[next]);
  return html`<main class="photo-page">
    <div class="bar">
      <button type="button" disabled=${place <= 0} onClick=${() => open(place - 1)}>${say("photo.previous")}</button>
      <h1>${photo?.path ?? ""}</h1>
      <button type="button" disabled=${place < 0 || place >= ids.length - 1} onClick=${() => open(place + 1)}>${say("photo.next")}</button>
    </div>
    <img src=${`image/${photoId}`} alt=${photo?.path ?? ""} />
  </main>`;
}
