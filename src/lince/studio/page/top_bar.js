// The bar at the top of every page: project, progress, pages, whether all is saved, who is here, language, colours.

import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { useEvents, useStored } from "./hooks.js";
import { formatNumber, getLanguage, say, sayCount, setLanguage } from "./words.js";

const PAGES = ["gallery", "classes", "export", "history"];
const LANGUAGES = ["en", "es", "pt"];
const THEMES = ["system", "light", "dark"];
const THEME_SIGNS = { system: "◐", light: "☀", dark: "☾" };

/** Return how much of the project is done: photos that are not skipped, and those of them that are done. */
export function countProgress(counts) {
  const total = counts.all - counts.skipped;
  return { done: counts.done, total, share: total > 0 ? Math.floor((100 * counts.done) / total) : 0 };
}

/** Use the colours that were chosen in this browser. */
export function applyTheme(theme = localStorage.getItem("lince-theme") ?? "system") {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** The bar itself; `page` is the page that is shown, `onHelp` opens the help. */
export function TopBar({ project, queue, acts, page, onHelp }) {
  useEvents(project, "change", "presence");
  const { about } = project;
  const pages = useRef(null);
  const menu = useRef(null);
  const [isOpen, setOpen] = useState(false); // on a phone, where language, colours and help are behind a button
  // On a phone the row of pages is longer than the screen.
  useEffect(() => pages.current.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }), [page]);
  useEffect(() => setOpen(false), [page]);
  const onKey = (event) => {
    if (event.key !== "Escape" || !isOpen) return;
    setOpen(false);
    menu.current.focus();
  };
  return html`<header class=${`top ${isOpen ? "open" : ""}`} onKeyDown=${onKey}>
    <a class="skip-link" href="#content" onClick=${focusContent}>${say("top.skip")}</a>
    <a class="project" href="#/gallery" title=${about.folder}>${about.name}</a>
    <${Progress} counts=${about.counts} />
    <${Saved} queue=${queue} acts=${acts} />
    <${People} project=${project} />
    <button ref=${menu} class="icon menu" type="button" aria-expanded=${String(isOpen)} aria-controls="top-tools" aria-label=${say("top.menu")} title=${say("top.menu")}
      onClick=${() => setOpen(!isOpen)}>☰</button>
    <nav ref=${pages} aria-label=${say("top.pages")}>
      ${PAGES.map(
        (name) => html`<a key=${name} href=${`#/${name}`} aria-current=${page === name ? "page" : null}>${say(`page.${name}`)}</a>`,
      )}
      ${(about.has_passwords || about.role === "owner") && html`<a href="#/people" aria-current=${page === "people" ? "page" : null}>${say("page.people")}</a>`}
      <a href="#/start" class="add" aria-current=${page === "start" ? "page" : null}>${say("page.start")}</a>
    </nav>
    <span class="tools" id="top-tools">
      <${Languages} />
      <${Theme} />
      <button class="icon" type="button" aria-label=${say("top.help")} title=${say("top.help")} onClick=${onHelp}>?</button>
    </span>
  </header>`;
}

function focusContent(event) {
  event.preventDefault();
  const content = document.getElementById("content");
  content?.focus();
}

function Progress({ counts }) {
  const { done, total, share } = countProgress(counts);
  if (!counts.all) return null;
  const title = say("top.progress_title", { done, total, skipped: counts.skipped });
  return html`<span class="progress" title=${title}>
    <span class="bar" role="progressbar" aria-label=${title} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${share}>
      <span style=${{ width: `${share}%` }}></span>
    </span>
    ${say("top.progress", { share: formatNumber(share) })}
  </span>`;
}

function Saved({ queue, acts }) {
  useEvents(queue, "status");
  useEvents(acts, "status");
  const failed = [queue.status, acts.status].find((status) => status.name === "failed");
  const count = queue.status.count + acts.status.count;
  const state = failed ? "failed" : count ? "saving" : "saved";
  const reason = failed && (failed.message || say(failed.code === "unreachable" ? "saved.unreachable" : "saved.wait"));
  return html`<span class=${`saved ${state}`}>
    <span class="word" role="status">${state === "saved" ? say("saved.saved") : sayCount(`saved.${state}`, count)}</span>
    ${failed && html`<span class="reason" role="alert">${reason}</span>`}
  </span>`;
}

function People({ project }) {
  const others = project.present.filter((one) => one.who !== project.about.person);
  if (!others.length) return null;
  const names = [...new Set(others.map((one) => one.who))];
  return html`<span class="people" title=${say("top.people", { names: names.join(", ") })}>
    <span aria-hidden="true">${names.slice(0, 4).map((name) => html`<b key=${name}>${name.slice(0, 1).toUpperCase()}</b>`)}</span>
    <span class="visually-hidden">${say("top.people", { names: names.join(", ") })}</span>
  </span>`;
}

/** The three languages, to switch without loading the page again. */
export function Languages() {
  return html`<span class="languages" role="group" aria-label=${say("top.language")}>
    ${LANGUAGES.map(
      (code) => html`<button key=${code} type="button" lang=${code} aria-pressed=${String(code === getLanguage())}
        title=${new Intl.DisplayNames([code], { type: "language" }).of(code)} onClick=${() => setLanguage(code)}>${code.toUpperCase()}</button>`,
    )}
  </span>`;
}

function Theme() {
  const [theme, setTheme] = useStored("lince-theme", "system");
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  const change = () => {
    setTheme(next);
    applyTheme(next);
  };
  const label = say("top.theme", { theme: say(`theme.${theme}`) });
  return html`<button class="icon" type="button" aria-label=${label} title=${label} onClick=${change}>${THEME_SIGNS[theme]}</button>`;
}
