// The first steps: what the labels are for, the photos, the classes; later, the page to add photos.

import { html, useState } from "./vendor/preact.js";
import { postJson } from "./api.js";
import { AddPhotos } from "./add_photos.js";
import { Tour } from "./tour.js";
import { tellError } from "./notices.js";
import { makeId, session } from "./ids.js";
import { say, sayCount } from "./words.js";
import { useEvents } from "./hooks.js";

const TASKS = ["classification", "detection"];
const TOUR_SEEN = "lince-tour-seen";

/** The page of the first steps. */
export function StartPage({ project }) {
  useEvents(project, "change");
  const [isTourShown, setTour] = useState(localStorage.getItem(TOUR_SEEN) === null);
  const { about } = project;
  const photoCount = about.counts.all;
  const isReady = about.task && photoCount > 0 && about.classes.length > 0;
  const endTour = () => {
    localStorage.setItem(TOUR_SEEN, "1");
    setTour(false);
  };
  return html`<main class="start">
    <h1>${photoCount ? say("start.title_more") : say("start.title")}</h1>
    ${!photoCount && html`<p class="lead">${say("start.lead")}</p>`}
    <ol class="steps">
      <li class=${about.task ? "done" : "now"}>
        <h2>${say("start.task")}</h2>
        <${TaskChoice} project=${project} />
      </li>
      <li class=${photoCount ? "done" : about.task ? "now" : ""}>
        <h2>${say("start.photos")}</h2>
        ${photoCount > 0 && html`<p role="status" class="quiet">${sayCount("gallery.count", photoCount)}</p>`}
        <${AddPhotos} project=${project} />
        <${Sample} project=${project} />
      </li>
      <li class=${about.classes.length ? "done" : photoCount ? "now" : ""}>
        <h2>${say("start.classes")}</h2>
        <p>${about.classes.length ? about.classes.map((one) => one.name).join(", ") : say("start.classes_help")}</p>
        <a class="button" href="#/classes">${say(about.classes.length ? "start.classes_edit" : "start.classes_add")}</a>
      </li>
    </ol>
    <p class="buttons">
      ${isReady && html`<a class="button main" href="#/gallery">${say("start.label")}</a>`}
      <button type="button" onClick=${() => setTour(true)}>${say("tour.show")}</button>
    </p>
    ${isTourShown && html`<${Tour} onClose=${endTour} />`}
  </main>`;
}

function TaskChoice({ project }) {
  const choose = async (task) => {
    try {
      await postJson("api/task", { task });
      await project.refresh();
    } catch (error) {
      tellError(error);
    }
  };
  const { task, classes } = project.about;
  const hasLabels = classes.some((one) => one.shapes || one.photos);
  return html`<div role="radiogroup" aria-label=${say("start.task")} class="tasks">
    ${TASKS.map(
      (name) => html`<label key=${name} class=${`card ${task === name ? "chosen" : ""}`}>
        <input type="radio" name="task" checked=${task === name} onChange=${() => choose(name)} />
        <${TaskPicture} name=${name} />
        <span><strong>${say(`task.${name}`)}</strong><span>${say(`task.${name}_help`)}</span></span>
      </label>`,
    )}
    ${hasLabels && html`<p class="quiet">${say("start.task_change")}</p>`}
  </div>`;
}

function TaskPicture({ name }) {
  const isDetection = name === "detection";
  return html`<svg viewBox="0 0 64 48" aria-hidden="true" class="task-picture">
    <rect x="2" y="2" width="60" height="44" rx="4" class="frame" />
    <circle cx="24" cy="26" r="9" class="thing" />
    <path d="M44 16l9 16H35z" class="thing" />
    ${isDetection && html`<rect x="13" y="15" width="22" height="22" class="box" /><rect x="33" y="13" width="22" height="22" class="box" />`}
    ${!isDetection && html`<rect x="2" y="34" width="60" height="12" rx="4" class="label" /><path d="M8 40h26" class="line" />`}
  </svg>`;
}

function Sample({ project }) {
  const [isBusy, setBusy] = useState(false);
  const task = project.about.task;
  if (!task || project.about.counts.all + project.about.counts.removed > 0) return null;
  const add = async () => {
    setBusy(true);
    try {
      await postJson("api/photos/sample", { key: makeId(), session, task });
      await project.refresh();
    } catch (error) {
      tellError(error);
    }
    setBusy(false);
  };
  return html`<p class="sample">${say(`sample.${task}`)} <button type="button" disabled=${isBusy} onClick=${add}>${say("sample.add")}</button></p>`;
}
