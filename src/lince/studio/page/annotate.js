// The page on which one photo is labelled.

import { ClassDialog, CommentDialog, ConflictDialog, KeyDialog } from "./annotate_dialogs.js";
import { Panel } from "./annotate_panel.js";
import { AnnotateSession } from "./annotate_session.js";
import { Strip } from "./annotate_strip.js";
import { Toolbar } from "./annotate_toolbar.js";
import { keyTable } from "./keys.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { onLanguage, say } from "./words.js";

const STYLE = "page/annotate.css";
if (!document.querySelector(`link[href="${STYLE}"]`)) {
  document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: STYLE }));
}

/**
 * Label the photo `photoId`; `ids` are the photos of the gallery's filter, in their order. `project` and `queue` are the
 * ProjectState and the EditQueue of the page.
 */
export function AnnotatePage({ photoId, ids, project, queue }) {
  const place = useRef(null);
  const frame = useRef(null);
  const [work, setWork] = useState(null);
  const redraw = useRedraw();

  useLayoutEffect(() => fillWindow(place.current), []);
  useEffect(() => {
    const opened = new AnnotateSession(frame.current, project, queue);
    opened.addEventListener("change", redraw);
    opened.addEventListener("dialog", redraw.now);
    const showSaved = () => (place.current.dataset.saved = queue.status.name); // for tests, which must not wait for a frame
    showSaved();
    queue.addEventListener("status", showSaved);
    const endings = [onLanguage(redraw), keyTable.listen(redraw)];
    setWork(opened);
    frame.current.focus({ preventScroll: true });
    return () => {
      queue.removeEventListener("status", showSaved);
      opened.removeEventListener("change", redraw);
      for (const end of endings) end();
      opened.close();
    };
  }, [project, queue]);
  useLayoutEffect(() => {
    work?.show(photoId, ids); // at once: an effect after the next frame would be late
  }, [work, photoId, ids]);

  const isReady = Boolean(work?.photo);
  // After a click the keys are for the photo again.
  const giveBack = (event) => {
    const isControl = event.target.closest("button, input[type=range], input[type=checkbox], [role=option]");
    if (event.detail && isControl && !document.querySelector("dialog[open]")) work?.stage.focus();
  };
  return html`<div class="annotate" ref=${place} onClick=${giveBack}>
    ${work && html`<${Toolbar} work=${work} />`}
    <div class="annotate-frame" ref=${frame} tabindex="0" role="application" aria-label=${say("annotate.photo", { name: work?.photo?.record?.path ?? "" })}
      aria-describedby="annotate-how" data-photo=${work?.photo?.id ?? ""}>
      <canvas></canvas>
      <canvas></canvas>
      <svg class="annotate-overlay" aria-hidden="true"></svg>
    </div>
    <p id="annotate-how" class="annotate-unseen">${say("annotate.how")}</p>
    ${work?.problem && html`<p class="annotate-problem" role="alert">${work.problem} ${" "}
      <button type="button" onClick=${() => work.show(photoId, ids)}>${say("annotate.again")}</button></p>`}
    ${isReady && html`<${Panel} work=${work} />`}
    ${isReady && html`<${Strip} work=${work} />`}
    <p class="annotate-notice" role="status" aria-live="polite">${work?.notice ?? ""}</p>
    ${isReady && html`<${Dialogs} work=${work} />`}
  </div>`;
}

function Dialogs({ work }) {
  const [conflict] = work.photo.conflicts;
  const close = () => work.open(null);
  if (conflict) return html`<${ConflictDialog} key=${conflict.kind + conflict.id} work=${work} conflict=${conflict} />`;
  if (work.dialog === "class") return html`<${ClassDialog} work=${work} close=${close} />`;
  if (work.dialog === "comment") return html`<${CommentDialog} work=${work} close=${close} />`;
  return work.dialog === "keys" ? html`<${KeyDialog} close=${close} />` : null;
}

/** Return a function that shows the component again, once a frame however often it is called; its `now` does not wait. */
function useRedraw() {
  const [, count] = useState(0);
  const made = useRef(null);
  if (!made.current) {
    let request = 0;
    const now = () => count((number) => number + 1);
    const soon = () => {
      request ||= requestAnimationFrame(() => {
        request = 0;
        now();
      });
    };
    made.current = Object.assign(soon, { now });
  }
  return made.current;
}

/** Give the page the height that is left of the window below what is above it. */
function fillWindow(element) {
  const measure = () => element.style.setProperty("--annotate-top", `${element.getBoundingClientRect().top + scrollY}px`);
  measure();
  const observer = new ResizeObserver(measure);
  observer.observe(document.body);
  return () => observer.disconnect();
}
