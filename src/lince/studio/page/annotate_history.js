// What was done to a photo, by whom and when, and the way back to any moment.

import { getJson } from "./api.js";
import { html, useEffect, useState } from "./vendor/preact.js";
import { getLanguage, say, sayCount } from "./words.js";

const SHOWN = 200;

/** The list, read when it is opened and after each edit while it is open. */
export function History({ work }) {
  const [isOpen, setOpen] = useState(false);
  const [events, setEvents] = useState([]);
  const { photo } = work;

  useEffect(() => {
    if (!isOpen) return undefined;
    let timer = 0;
    const read = () => getJson(`api/photos/${photo.id}/history`).then((answer) => setEvents(answer.events), () => {});
    const readSoon = () => {
      clearTimeout(timer);
      timer = setTimeout(read, 300);
    };
    read();
    work.project.addEventListener("edit", readSoon);
    return () => {
      clearTimeout(timer);
      work.project.removeEventListener("edit", readSoon);
    };
  }, [isOpen, photo]);

  return html`<details class="annotate-history" open=${isOpen} onToggle=${(event) => setOpen(event.target.open)}>
    <summary>${say("annotate.history")}</summary>
    ${isOpen && html`<ol>${events.slice(0, SHOWN).map((event, place) => html`<li key=${event.seq}>
      <span><time datetime=${event.at}>${showTime(event.at)}</time> ${event.who}: ${describeEvent(event, work.project)}</span>
      ${place > 0 && html`<button type="button" onClick=${() => photo.restore(event.seq)}>${say("annotate.restore")}</button>`}
    </li>`)}</ol>`}
    ${isOpen && photo.unsavedCount > 0 && html`<p>${sayCount("annotate.history-unsaved", photo.unsavedCount)}</p>`}
    ${isOpen && !events.length && html`<p>${say("annotate.no-history")}</p>`}
  </details>`;
}

function showTime(text) {
  const at = new Date(text);
  const isToday = at.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(getLanguage(), { ...(isToday ? {} : { dateStyle: "short" }), timeStyle: "medium" }).format(at);
}

/** An event in words: what was done to what. */
function describeEvent(event, project) {
  const what = say(`annotate.did.${event.target}.${describeChange(event)}`, { name: nameOf(event, project) });
  return event.kind === "edit" || event.kind === "import" ? what : say(`annotate.did.${event.kind}`, { what });
}

function describeChange({ target, before, after }) {
  if (!before && target !== "photo") return "add";
  if (!after) return "remove";
  if (target === "photo" && before?.state !== after.state) return after.state;
  if (target === "photo" && String(before?.classes ?? "") !== String(after.classes)) return "class";
  if (target === "photo" && (before?.flag ?? "") !== after.flag) return after.flag ? "flag" : "unflag";
  return target === "shape" && before.class !== after.class ? "class" : "change";
}

function nameOf({ target, before, after }, project) {
  const state = after ?? before;
  if (target === "comment") return state.text;
  const ids = target === "photo" ? state.classes : [state.class];
  return ids.map((id) => project.findClass(id)?.name ?? say("annotate.no-class")).join(", ");
}
