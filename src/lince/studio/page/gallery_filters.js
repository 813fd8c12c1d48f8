// The filters of the gallery, each with the number of photos that it finds.

import { html, useRef, useState } from "./vendor/preact.js";
import { tellError } from "./notices.js";
import { formatNumber, say } from "./words.js";
import { useEvents } from "./hooks.js";

const STATES = ["all", "unlabelled", "draft", "done", "skipped", "flagged", "commented", "removed"];
const SPLITS = ["train", "val", "test", "none"];
const SEARCH_MS = 250;

/** All filters; what is chosen is kept in `list`. */
export function Filters({ project, list }) {
  useEvents(project, "change");
  useEvents(list, "change");
  const [isOpen, setOpen] = useState(false);
  const { filter } = list;
  // The filter that is set may be newer than the one that is shown, whose photos are still being read.
  const set = (change) => list.load({ ...list.filter, ...change }).catch(tellError);
  const classes = project.about.classes;
  const people = Object.keys(project.about.people).filter((name) => name !== "");
  return html`<aside class=${`filters ${isOpen ? "open" : ""}`} aria-label=${say("filters")}>
    <${Search} value=${filter.search} onChange=${(search) => set({ search })} />
    <button type="button" class="toggle" aria-expanded=${String(isOpen)} onClick=${() => setOpen(!isOpen)}>${say("filters.show", { name: say(`filter.${filter.filter}`) })}</button>
    <div class="filter-body">
      <div class="states" role="group" aria-label=${say("filters.state")}>
        ${STATES.map(
          (name) => html`<button key=${name} type="button" aria-pressed=${String(filter.filter === name)} onClick=${() => set({ filter: name })}>
            <span>${say(`filter.${name}`)}</span> <span class="number">${formatNumber(project.about.counts[name] ?? 0)}</span>
          </button>`,
        )}
      </div>
      <${Choice} label=${say("filters.class")} value=${filter.class} onChange=${(value) => set({ class: value })}
        options=${classes.map((one) => ({ value: String(one.id), label: `${one.name} (${formatNumber(countPhotos(one))})` }))} />
      <${Choice} label=${say("filters.split")} value=${filter.split} onChange=${(split) => set({ split })}
        options=${SPLITS.map((name) => ({ value: name, label: `${say(`split.${name}`)} (${formatNumber(project.about.splits[name === "none" ? "" : name] ?? 0)})` }))} />
      ${people.length > 0 && html`<${Choice} label=${say("filters.person")} value=${filter.person} onChange=${(person) => set({ person })}
        options=${people.map((name) => ({ value: name, label: `${name} (${formatNumber(project.about.people[name])})` }))} />`}
    </div>
  </aside>`;
}

const countPhotos = (one) => Math.max(one.photos, one.shape_photos);

function Choice({ label, value, options, onChange }) {
  return html`<label class="field">${label}
    <select value=${value} onChange=${(event) => onChange(event.target.value)}>
      <option value="">${say("filters.any")}</option>
      ${options.map((one) => html`<option key=${one.value} value=${one.value} selected=${one.value === value}>${one.label}</option>`)}
    </select>
  </label>`;
}

function Search({ value, onChange }) {
  const timer = useRef(null);
  const search = (event) => {
    clearTimeout(timer.current);
    const text = event.target.value;
    timer.current = setTimeout(() => onChange(text), SEARCH_MS);
  };
  return html`<label class="field search"><span class="visually-hidden">${say("filters.search")}</span>
    <input type="search" placeholder=${say("filters.search")} defaultValue=${value} onInput=${search} />
  </label>`;
}
