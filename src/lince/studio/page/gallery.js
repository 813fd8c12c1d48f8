// The gallery: filters, search, the grid of photos, and acts on those that are selected.

import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { tellError } from "./notices.js";
import { Filters } from "./gallery_filters.js";
import { Grid } from "./gallery_grid.js";
import { SelectionBar } from "./gallery_actions.js";
import { say, sayCount } from "./words.js";
import { useEvents, useStored } from "./hooks.js";
import { redoAct, undoAct } from "./photo_acts.js";
import { NO_FILTER } from "./photo_list.js";

const SIZES = { small: 112, medium: 168, large: 250 };

/** The page of all photos. */
export function GalleryPage({ project, list, acts, queue }) {
  useEvents(project, "change");
  useEvents(queue, "status");
  useEvents(list, "change");
  const [size, setSize] = useStored("lince-size", "medium");
  const [dialog, setDialog] = useState(null);
  const total = project.about.counts.all + project.about.counts.removed;
  useReload(project, list);
  const isFiltered = Object.keys(NO_FILTER).some((name) => list.filter[name] !== NO_FILTER[name]);
  return html`<main class="gallery">
    <h1 class="visually-hidden">${say("page.gallery")}</h1>
    <${Filters} project=${project} list=${list} />
    <section class="photos" aria-label=${say("gallery.photos")}>
      <div class="bar">
        <p class="count" role="status">${list.isLoaded ? sayCount(isFiltered ? "gallery.found" : "gallery.count", list.ids.length) : say("loading")}</p>
        <${Refresh} project=${project} list=${list} />
        <button type="button" class="icon" aria-label=${say("undo")} title=${`${say("undo")} (Ctrl+Z)`} onClick=${() => undoAct(acts, list)}>↶</button>
        <button type="button" class="icon" aria-label=${say("redo")} title=${`${say("redo")} (Ctrl+Shift+Z)`} onClick=${() => redoAct(acts, list)}>↷</button>
        <fieldset class="sizes">
          <legend class="visually-hidden">${say("gallery.size")}</legend>
          ${Object.keys(SIZES).map(
            (name) => html`<label key=${name} title=${say(`gallery.size.${name}`)}>
              <input type="radio" name="size" checked=${size === name} onChange=${() => setSize(name)} />
              <span class=${`size ${name}`}><span class="visually-hidden">${say(`gallery.size.${name}`)}</span></span>
            </label>`,
          )}
        </fieldset>
      </div>
      ${total === 0 ? html`<${Empty} />` : list.isLoaded && !list.ids.length ? html`<${Nothing} list=${list} />` : null}
      ${list.isLoaded && list.ids.length > 0 && html`<${Grid} project=${project} list=${list} acts=${acts} least=${SIZES[size] ?? SIZES.medium} openDialog=${setDialog} />`}
      ${list.ids.length > 0 && html`<${SelectionBar} project=${project} list=${list} acts=${acts} dialog=${dialog} setDialog=${setDialog} />`}
    </section>
  </main>`;
}

/** Read the ids at first, and again when photos came or went; labels alone do not move photos under the pointer. */
function useReload(project, list) {
  const { all, removed } = project.about.counts;
  const known = useRef(null);
  useEffect(() => {
    const isNew = known.current !== null && known.current !== `${all} ${removed}`;
    known.current = `${all} ${removed}`;
    if (!list.isLoaded || isNew) list.load().catch(tellError);
  }, [all, removed]);
}

/** Offers to read the ids again where a filter would no longer find the same photos. */
function Refresh({ project, list }) {
  const { filter, search, split, person } = list.filter;
  const expected = project.about.counts[filter];
  const isPlain = search === "" && split === "" && person === "" && list.filter.class === "";
  if (!list.isLoaded || !isPlain || expected === undefined || expected === list.ids.length) return null;
  return html`<button type="button" class="small" onClick=${() => list.load().catch(tellError)}>${say("gallery.refresh")}</button>`;
}

function Empty() {
  return html`<div class="empty">
    <p>${say("gallery.empty")}</p>
    <a class="button main" href="#/start">${say("page.start")}</a>
  </div>`;
}

function Nothing({ list }) {
  const clear = () => list.load({ ...NO_FILTER }).catch(tellError);
  return html`<div class="empty">
    <p>${say("gallery.nothing")}</p>
    <button type="button" onClick=${clear}>${say("gallery.show_all")}</button>
  </div>`;
}
