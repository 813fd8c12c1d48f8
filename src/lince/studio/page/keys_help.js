// The dialog of all keys: shown by ?, and where they are changed.

import { ACTIONS, PRESETS, keyTable, nameKeys } from "./keys.js";
import { html, useEffect, useState } from "./vendor/preact.js";
import { say } from "./words.js";

const MODIFIERS = ["Shift", "Control", "Alt", "Meta", "AltGraph"];
const WORDED = ["Space", "Enter", "Tab", "Escape", "Delete", "Backspace", "PageUp", "PageDown", "Shift", "Ctrl", "Alt"];
const ARROWS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };

/** Return how a key is shown to the person, in their language. */
export function showKey(key) {
  if (key === "+") return key;
  return key.split("+").map((part) => ARROWS[part] ?? (WORDED.includes(part) ? say(`keys.name.${part}`) : part)).join(" + ");
}

/** All actions and their keys, to be shown in a dialog. */
export function KeyHelp() {
  const [waiting, setWaiting] = useState(""); // the action whose new key is awaited
  const [said, setSaid] = useState("");
  const [, redraw] = useState(0);
  useEffect(() => keyTable.listen(() => redraw((count) => count + 1)), []);

  const take = (event) => {
    if (!waiting) return;
    event.preventDefault();
    event.stopPropagation();
    if (MODIFIERS.includes(event.key)) return;
    setWaiting("");
    if (event.key === "Escape") return;
    const [key] = nameKeys(event);
    const losers = keyTable.change(waiting, [key]);
    setSaid(losers.map((name) => say("keys.lost", { key: showKey(key), action: say(`keys.action.${name}`) })).join(" "));
  };

  return html`<div class="keys-help" onKeyDown=${take}>
    <p class="keys-head">
      <label>${say("keys.preset")} ${" "}
        <select value=${keyTable.preset} onChange=${(event) => keyTable.choose(event.target.value)}>
          ${Object.keys(PRESETS).map((name) => html`<option key=${name} value=${name} selected=${name === keyTable.preset}>${say(`keys.preset.${name}`)}</option>`)}
        </select>
      </label>
    </p>
    <p>${say("keys.how")}</p>
    <p role="status" class="keys-said">${waiting ? say("keys.press", { action: say(`keys.action.${waiting}`) }) : said}</p>
    <div class="keys-groups">
      ${Object.entries(ACTIONS).map(([group, actions]) => html`<section key=${group}>
        <h3>${say(`keys.group.${group}`)}</h3>
        <dl>${Object.keys(actions).map((action) => html`<div key=${action} class="keys-row">
          <dt>${say(`keys.action.${action}`)}</dt>
          <dd>${showKeys(action, waiting, setWaiting)}</dd>
        </div>`)}</dl>
      </section>`)}
    </div>
  </div>`;
}

function showKeys(action, waiting, setWaiting) {
  const keys = keyTable.find(action);
  if (action.startsWith("class.") && action !== "class.search") {
    return html`<kbd>${showKey(keys[0])}</kbd> … <kbd>${showKey(keys.at(-1))}</kbd>`;
  }
  return html`<button type="button" class="keys-change" aria-label=${say("keys.change", { action: say(`keys.action.${action}`) })}
    aria-pressed=${action === waiting} onClick=${() => setWaiting(action)}>
    ${keys.length ? keys.map((key) => html`<kbd key=${key}>${showKey(key)}</kbd>`) : html`<span>${say("keys.none")}</span>`}
  </button>`;
}
