// Starts the studio's page: loads words and project, then shows the page that the address names.

import { html, render, useEffect, useReducer, useRef, useState } from "./vendor/preact.js";
import { ActQueue } from "./acts.js";
import { RequestError } from "./api.js";
import { ClassesPage } from "./classes.js";
import { EditQueue } from "./edit_queue.js";
import { ExportPage } from "./export.js";
import { GalleryPage } from "./gallery.js";
import { HelpDialog } from "./help.js";
import { JournalPage } from "./journal.js";
import { PeoplePage } from "./people.js";
import { Notices } from "./notices.js";
import { PhotoList } from "./photo_list.js";
import { PhotoPage } from "./photo.js";
import { ProjectState } from "./project_state.js";
import { SignInBanner, SignInPage, needsSignIn } from "./sign_in.js";
import { StartPage } from "./start.js";
import { TopBar, applyTheme } from "./top_bar.js";
import { Unsaved } from "./unsaved.js";
import { getLanguage, onLanguage, say, setLanguage } from "./words.js";
import { onRoute, readRoute } from "./router.js";
import { useEvents } from "./hooks.js";

const RETRY_MS = 2000;
const AHEAD_MS = 3000; // after which the annotator is loaded, so that photos open without a connection, too
const PAGES = { gallery: GalleryPage, classes: ClassesPage, export: ExportPage, history: JournalPage, people: PeoplePage, start: StartPage };

/** The whole page: the bar, what the address names, and the messages. */
function App({ studio }) {
  const { project, queue, acts, list } = studio;
  const [, again] = useReducer((count) => count + 1, 0);
  const [isHelpShown, setHelp] = useState(false);
  useEvents(project, "connection", "change");
  useEffect(() => onLanguage(again), []);
  useEffect(() => onRoute(again), []);
  useEffect(() => listenToKeys(() => setHelp(true)), []);
  const route = chooseRoute(project);
  useEffect(() => project.showPhoto(route.page === "photo" ? route.id : null), [route.page, route.id]);
  useEffect(() => {
    document.title = `${say(`page.${route.page}`)} · ${project.about.name} · lince`;
  });
  const Page = PAGES[route.page];
  return html`
    <${TopBar} project=${project} queue=${queue} acts=${acts} page=${route.page} onHelp=${() => setHelp(true)} />
    <${Connection} project=${project} />
    ${route.page !== "photo" && html`<${Unsaved} ...${studio} />`}
    <div id="content" tabindex="-1">
      ${route.page === "photo" ? html`<${OnePhoto} photoId=${route.id} studio=${studio} />` : html`<${Page} ...${studio} list=${list} />`}
    </div>
    <${Notices} />
    ${isHelpShown && html`<${HelpDialog} page=${route.page} onClose=${() => setHelp(false)} />`}
  `;
}

/** Return the page of the address; without one, go to the gallery, or to the first steps where no photo is there. */
function chooseRoute(project) {
  const route = readRoute();
  if (route.page in PAGES || (route.page === "photo" && route.id !== null)) return route;
  const hasPhotos = project.about.counts.all + project.about.counts.removed > 0;
  const page = hasPhotos && project.about.task ? "gallery" : "start";
  history.replaceState(null, "", `#/${page}`);
  return { page, id: null };
}

/** Show the help at `?`, wherever no text is being typed. */
function listenToKeys(showHelp) {
  const onKey = (event) => {
    const isTyping = event.target.closest?.("input:not([type=radio], [type=checkbox], [type=range]), textarea, select, dialog");
    // The annotator shows its own table of keys.
    const isShown = document.querySelector(".annotate") !== null;
    if (event.key === "?" && !isTyping && !isShown && !event.defaultPrevented) showHelp();
  };
  addEventListener("keydown", onKey);
  return () => removeEventListener("keydown", onKey);
}

/** Says that the server is gone or refuses, that the project is only shown, or that the server is another version. */
function Connection({ project }) {
  if (project.connection === "lost") return html`<p class="banner" role="alert">${say("connection.lost")}</p>`;
  if (project.connection === "refused" && project.about.has_passwords) return html`<${SignInBanner} project=${project} />`;
  if (project.connection === "refused") return html`<p class="banner" role="alert">${say("connection.refused")}</p>`;
  if (project.about.newer !== null) return html`<${Newer} about=${project.about} />`;
  if (!project.isOutdated) return null;
  return html`<p class="banner" role="alert">
    ${say("connection.outdated")} <button type="button" onClick=${() => location.reload()}>${say("connection.reload")}</button>
  </p>`;
}

/** Says that a newer lince wrote the project, so that this one only shows it. */
function Newer({ about }) {
  return html`<section class="banner newer" aria-label=${say("newer.title")}>
    <p>${say(about.newer ? "newer.shown" : "newer.shown_unknown", { version: about.newer, own: about.version })}</p>
  </section>`;
}

/** The annotator, loaded when it is first needed. */
function OnePhoto({ photoId, studio }) {
  const { project, queue, list } = studio;
  const [parts, setParts] = useState(null);
  const hasParts = useRef(false);
  useEvents(list, "change");
  useEvents(project, "connection");
  useEffect(() => {
    if (hasParts.current) return;
    loadAnnotator().then((loaded) => { // again where the connection was lost before it came
      hasParts.current = Boolean(loaded.AnnotatePage);
      setParts(loaded);
    });
    if (!list.isLoaded) list.load().catch(() => {});
  }, [project.connection]);
  if (!parts || !list.isLoaded) return html`<main><p class="quiet">${say("loading")}</p></main>`;
  const ids = list.ids.includes(photoId) ? list.ids : [photoId];
  const { AnnotatePage, keys } = parts;
  if (!AnnotatePage) return html`<${PhotoPage} photoId=${photoId} ids=${ids} list=${list} />`;
  return html`<${AnnotatePage} photoId=${photoId} ids=${ids} project=${project} queue=${queue} keys=${keys} />`;
}

async function loadAnnotator() {
  try {
    const [annotate, keys] = await Promise.all([import("./annotate.js"), import("./keys.js")]);
    return { AnnotatePage: annotate.AnnotatePage, keys };
  } catch {
    return {};
  }
}

/** A page instead of the studio: why it cannot be shown, and what to do. */
function Obstacle({ error }) {
  const isRefused = error.status === 401;
  const name = isRefused ? "no_access" : error.status === 0 ? "no_server" : "failed";
  return html`<main class="obstacle">
    <h1>${say(`obstacle.${name}`)}</h1>
    <p>${say(`obstacle.${name}_help`)}</p>
    ${error.message && !isRefused && html`<p class="quiet">${error.message}</p>`}
    ${!isRefused && html`<button type="button" onClick=${() => location.reload()}>${say("obstacle.again")}</button>`}
  </main>`;
}

async function start() {
  const place = document.getElementById("app");
  applyTheme();
  try {
    await setLanguage(getLanguage());
    const project = await ProjectState.load();
    const queue = await EditQueue.open(project.storageName);
    const acts = new ActQueue(project.storageName, queue);
    const list = new PhotoList(project, queue, acts);
    render(html`<${App} studio=${{ project, queue, acts, list }} />`, place);
    setTimeout(loadAnnotator, AHEAD_MS);
  } catch (error) {
    if (!(error instanceof RequestError) && !(error instanceof TypeError)) throw error;
    if (needsSignIn(error)) {
      render(html`<${SignInPage} onDone=${start} />`, place);
      return;
    }
    render(html`<${Obstacle} error=${error instanceof RequestError ? error : { status: 0, message: "" }} />`, place);
    if (error instanceof RequestError && (error.status === 0 || error.status === 503)) setTimeout(start, RETRY_MS);
  }
}

await start();
