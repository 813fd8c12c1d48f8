// The grid of photos: of 50,000, only the rows on screen are in the page. One photo has the focus (roving tabindex).

import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { matchGalleryKey } from "./gallery_keys.js";
import { changePhotos, redoAct, setClass, undoAct } from "./photo_acts.js";
import { goTo } from "./router.js";
import { say, sayCount } from "./words.js";
import { useLatest } from "./hooks.js";

const GAP = 8;
const CAPTION = 30;
const MIN_SIDE = 48;
const OVERSCAN = 2; // rows above and below the ones on screen
const READ_MS = 40; // after which what stands still is read
const REST_MS = 150; // after which a change is a jump, and no scrolling

/** The photos of `list`, each about `least` pixels wide; `openDialog` opens a dialog of the bar below. */
export function Grid({ project, list, acts, least, openDialog }) {
  const scroller = useRef(null);
  const anchor = useRef(list.focus);
  const [view, setView] = useState({ width: 0, height: 0 });
  const [topRow, setTopRow] = useState(0); // shown anew once a row, not at each step of scrolling
  useMeasure(scroller, setView);
  const columns = Math.max(1, Math.round((view.width - GAP) / (least + GAP)));
  const side = Math.max(MIN_SIDE, Math.floor((view.width - GAP) / columns) - GAP);
  const rowHeight = side + CAPTION + GAP;
  const rowCount = Math.ceil(list.ids.length / columns);
  const screenRows = Math.ceil(view.height / rowHeight) + 1;
  const rows = listRows(topRow, screenRows, rowCount, Math.floor(list.focus / columns));
  const isOnScreen = (row) => row >= topRow && row < topRow + screenRows;
  const shown = rows.flatMap((row) => list.ids.slice(row * columns, (row + 1) * columns));
  useRead(list, shown);
  const move = useMove({ scroller, anchor, list, columns, rowHeight });
  const context = useLatest({ project, list, acts, columns, anchor, move, openDialog, pageRows: Math.max(1, Math.floor(view.height / rowHeight)) });
  return html`<div class="scroller" ref=${scroller} onScroll=${(event) => setTopRow(Math.floor(event.target.scrollTop / rowHeight))}>
    <div class="grid" role="grid" aria-label=${say("gallery.photos")} aria-rowcount=${rowCount} aria-colcount=${columns} aria-multiselectable="true"
      style=${{ height: `${rowCount * rowHeight + GAP}px` }} onKeyDown=${(event) => onKey(event, context.current)}
      onClick=${(event) => onClick(event, context.current)} onDblClick=${(event) => open(event, context.current)}>
      ${rows.map(
        (row) => html`<div key=${row} role="row" aria-rowindex=${row + 1} class="row" style=${{ transform: `translateY(${row * rowHeight + GAP}px)`, height: `${rowHeight}px` }}>
          ${list.ids.slice(row * columns, (row + 1) * columns).map((id, column) => {
            const place = row * columns + column;
            return html`<${Cell} key=${id} id=${id} place=${place} column=${column} photo=${list.get(id)} project=${project} side=${side} isOnScreen=${isOnScreen(row)}
              isSelected=${list.selection.has(id)} isFocus=${place === list.focus} />`;
          })}
        </div>`,
      )}
    </div>
  </div>`;
}

/** The rows to show: those on screen, some around them, and the one with the focus, which must not be lost. */
function listRows(topRow, screenRows, rowCount, focusRow) {
  const first = Math.max(0, Math.min(topRow, rowCount - screenRows) - OVERSCAN);
  const end = Math.min(rowCount, topRow + screenRows + OVERSCAN);
  const rows = Array.from({ length: Math.max(0, end - first) }, (_, place) => first + place);
  return rows.includes(focusRow) || focusRow >= rowCount ? rows : [...rows, focusRow].sort((one, other) => one - other);
}

function useMeasure(scroller, setView) {
  useLayoutEffect(() => {
    const measure = () => setView((old) => ({ ...old, width: scroller.current.clientWidth, height: scroller.current.clientHeight }));
    const observer = new ResizeObserver(measure);
    observer.observe(scroller.current);
    measure();
    return () => observer.disconnect();
  }, []);
}

/** Read what is not known of the photos on screen: after a rest at once, else when the person stops scrolling. */
function useRead(list, ids) {
  const changed = useRef(0);
  const known = ids.map((id) => `${id}:${list.get(id)?.version ?? ""}`).join();
  useEffect(() => {
    const rest = performance.now() - changed.current;
    changed.current += rest;
    const timer = setTimeout(() => list.read(ids), rest > REST_MS ? 0 : READ_MS);
    return () => clearTimeout(timer);
  }, [known, list.ids, list.changes]);
}

/** Return a function that gives another photo the focus, and brings it on screen. */
function useMove({ scroller, anchor, list, columns, rowHeight }) {
  const wanted = useRef(false);
  useEffect(() => {
    if (!wanted.current) return;
    wanted.current = false;
    scroller.current.querySelector('[tabindex="0"]')?.focus({ preventScroll: true });
  });
  return (place, isRange = false) => {
    const next = Math.max(0, Math.min(place, list.ids.length - 1));
    const top = Math.floor(next / columns) * rowHeight;
    const element = scroller.current;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight + GAP > element.scrollTop + element.clientHeight) element.scrollTop = top + rowHeight + GAP - element.clientHeight;
    if (isRange) {
      const [from, to] = [anchor.current, next].sort((one, other) => one - other);
      list.select(list.ids.slice(from, to + 1));
    } else {
      anchor.current = next;
    }
    wanted.current = true;
    list.setFocus(next);
  };
}

function findPlace(event) {
  const cell = event.target.closest("[role=gridcell]");
  return cell ? Number(cell.dataset.place) : null;
}

function onClick(event, { list, anchor, move }) {
  const place = findPlace(event);
  if (place === null) return;
  const id = list.ids[place];
  const isMark = event.target.closest(".mark") !== null;
  if (event.shiftKey) move(place, true);
  else if (event.ctrlKey || event.metaKey || isMark || (isTouch(event) && list.selection.size)) {
    toggle(list, id);
    move(place);
  } else if (isTouch(event)) goTo("photo", id);
  else {
    anchor.current = place;
    list.select([id]);
    move(place);
  }
}

const isTouch = (event) => event.pointerType === "touch" || event.pointerType === "pen";

function open(event, { list }) {
  const place = findPlace(event);
  if (place !== null && !event.target.closest(".mark")) goTo("photo", list.ids[place]);
}

function toggle(list, id) {
  const ids = new Set(list.selection);
  if (!ids.delete(id)) ids.add(id);
  list.select(ids);
}

function onKey(event, context) {
  const { project, list, acts, columns, move, pageRows, openDialog } = context;
  const action = matchGalleryKey(event);
  if (!action) return;
  event.preventDefault();
  const place = list.focus;
  const chosen = list.selection.size ? [...list.selection] : [list.ids[place]];
  const moves = { left: -1, right: 1, up: -columns, down: columns, pageUp: -columns * pageRows, pageDown: columns * pageRows, first: -place, last: list.ids.length };
  if (action.name in moves) move(place + moves[action.name], action.isRange);
  else if (action.name === "open") goTo("photo", list.ids[place]);
  else if (action.name === "toggle") toggle(list, list.ids[place]);
  else if (action.name === "all") list.select(list.ids);
  else if (action.name === "none") list.select([]);
  else if (action.name === "undo") undoAct(acts, list);
  else if (action.name === "redo") redoAct(acts, list);
  else if (action.name === "flag") openDialog("flag");
  else {
    const isOne = !list.selection.size;
    const isMade = makeAct(action, { project, list, acts, chosen });
    if (isMade && isOne) move(place + 1);
  }
}

/** Make an act on photos; return whether there was one to make. */
function makeAct(action, { project, list, acts, chosen }) {
  if (action.name === "class") return setClass({ project, list, acts, ids: chosen, key: action.key });
  if (action.name === "skip") return changePhotos({ list, acts, ids: chosen, fields: { state: "skipped" }, seen: project.last });
  return changePhotos({ list, acts, ids: chosen, fields: { removed: true }, seen: project.last });
}

function Cell({ id, place, column, photo, project, side, isOnScreen, isSelected, isFocus }) {
  const label = photo ? describe(photo, project) : say("loading");
  return html`<div role="gridcell" class=${`cell ${photo?.state ?? ""}`} data-place=${place} data-id=${id} aria-colindex=${column + 1}
    aria-selected=${String(isSelected)} aria-label=${label} title=${photo?.path ?? ""} tabindex=${isFocus ? 0 : -1} style=${{ width: `${side}px` }}>
    <div class="picture" style=${{ height: `${side}px` }}>
      ${photo && html`<img src=${`thumb/${id}?v=${photo.digest}`} alt="" draggable=${false} decoding="async" fetchpriority=${isOnScreen ? "high" : "low"} />`}
    </div>
    <span class="mark" aria-hidden="true">${isSelected ? "✓" : ""}</span>
    ${photo && html`<${Caption} photo=${photo} project=${project} />`}
  </div>`;
}

function Caption({ photo, project }) {
  const classes = photo.classes.map((id) => project.findClass(id)).filter(Boolean);
  const sign = { done: "✓", skipped: "–" }[photo.state] ?? "";
  return html`<div class="caption" aria-hidden="true">
    ${classes.map((one) => html`<span key=${one.id} class="chip"><i style=${{ background: one.colour }}></i>${one.name}</span>`)}
    ${!classes.length && photo.shapes > 0 && html`<span class="chip">${sayCount("gallery.shapes", photo.shapes)}</span>`}
    ${!classes.length && !photo.shapes && html`<span class="name">${photo.path.split("/").pop()}</span>`}
    <span class="signs">${photo.flag && "⚑"}${sign}</span>
  </div>`;
}

/** What a screen reader says of a photo. */
function describe(photo, project) {
  const classes = photo.classes.map((id) => project.findClass(id)?.name).filter(Boolean);
  const parts = [photo.path.split("/").pop(), ...classes];
  if (photo.shapes) parts.push(sayCount("gallery.shapes", photo.shapes));
  if (photo.state !== "new") parts.push(say(`state.${photo.state}`));
  if (photo.split) parts.push(say(`split.${photo.split}`));
  if (photo.flag) parts.push(say("gallery.flagged", { flag: photo.flag }));
  return parts.join(", ");
}
