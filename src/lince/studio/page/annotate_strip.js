// The photos before and after the one that is shown, small; a click goes there.

import { listNeighbours, nameState } from "./annotate_pictures.js";
import { html, useEffect, useRef } from "./vendor/preact.js";
import { say } from "./words.js";

/** The row of small photos; `work` is the AnnotateSession. */
export function Strip({ work }) {
  const current = useRef(null);
  useEffect(() => current.current?.scrollIntoView({ block: "nearest", inline: "center" }), [work.photo.id]);
  return html`<nav class="annotate-strip" aria-label=${say("annotate.strip")}>
    ${listNeighbours(work.ids, work.place).map((id) => {
      const record = work.records.find(id);
      const isCurrent = id === work.photo.id;
      const state = record ? say(`annotate.state.${nameState(record.state, record.shapes + record.classes.length)}`) : "";
      return html`<a key=${id} href=${`#/photo/${id}`} ref=${isCurrent ? current : null} aria-current=${isCurrent ? "page" : null}
        class=${`annotate-near annotate-near-${record?.state ?? "new"}`} title=${record?.path ?? ""} aria-label=${record ? null : say("loading")}>
        ${record && html`<img src=${`thumb/${id}?v=${record.digest}`} alt=${say("annotate.near", { name: record.path, state })} loading="lazy" />`}
      </a>`;
    })}
  </nav>`;
}
