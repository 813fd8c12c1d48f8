// Starts the annotator alone, for its tests, until the page has a shell of its own.

import { AnnotatePage } from "./annotate.js";
import { getJson } from "./api.js";
import { EditQueue } from "./edit_queue.js";
import { ProjectState } from "./project_state.js";
import { html, render, useEffect, useState } from "./vendor/preact.js";
import { getLanguage, setLanguage } from "./words.js";

function App({ project, queue }) {
  const read = () => Number(/photo\/(\d+)/.exec(location.hash)?.[1] ?? 0);
  const [photoId, setPhoto] = useState(read());
  const [status, setStatus] = useState(queue.status);
  const [ids, setIds] = useState(null);
  useEffect(() => {
    addEventListener("hashchange", () => setPhoto(read()));
    queue.addEventListener("status", () => setStatus({ ...queue.status }));
    getJson("api/photos/ids").then((answer) => setIds(answer.ids));
  }, []);
  return html`<p id="saved" data-status=${status.name}>${status.name} ${status.count}</p>
    ${ids && html`<${AnnotatePage} photoId=${photoId || ids[0]} ids=${ids} project=${project} queue=${queue} />`}`;
}
await setLanguage(getLanguage());
const project = await ProjectState.load();
const queue = await EditQueue.open(project.about.id);
render(html`<${App} project=${project} queue=${queue} />`, document.getElementById("app"));
