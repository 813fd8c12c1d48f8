// The journal of the project: who did what and when, and a way back to each moment.

import { html, useEffect, useState } from "./vendor/preact.js";
import { getJson } from "./api.js";
import { Dialog } from "./dialog.js";
import { tell, tellError } from "./notices.js";
import { say, sayCount } from "./words.js";
import { useEvents } from "./hooks.js";

const PAGE = 50;

/** The page of the journal. */
export function JournalPage({ project, list, acts }) {
  useEvents(project, "change");
  const [shown, setShown] = useState([]);
  const [isEnd, setEnd] = useState(false);
  const [chosen, setChosen] = useState(null);
  const read = async (before, earlier) => {
    try {
      const answer = await getJson(`api/journal?count=${PAGE}${before === null ? "" : `&before=${before}`}`);
      setShown([...earlier, ...answer.acts]);
      setEnd(answer.acts.length < PAGE);
    } catch (error) {
      tellError(error);
    }
  };
  useEffect(() => {
    read(null, []);
  }, [project.about.seq]);
  const restore = async () => {
    const { seq } = chosen;
    setChosen(null);
    try {
      const { count } = await acts.run("api/restore", { photo: null, seq, brief: true });
      tell(count ? sayCount("history.restored", count) : say("history.same"));
      list.forget(list.ids);
      await project.refresh();
    } catch (error) {
      tellError(error);
    }
  };
  return html`<main class="journal">
    <h1>${say("page.history")}</h1>
    <p class="quiet">${say("history.help")}</p>
    ${!shown.length && isEnd && html`<p class="empty">${say("history.empty")}</p>`}
    <ol class="acts">
      ${shown.map((act, place) => html`<${ActLine} key=${act.seq} act=${act} isNewest=${place === 0} onRestore=${() => setChosen(act)} />`)}
    </ol>
    ${!isEnd && shown.length > 0 && html`<button type="button" onClick=${() => read(shown.at(-1).first, shown)}>${say("history.more")}</button>`}
    ${chosen && html`<${Dialog} title=${say("history.restore_title")} onClose=${() => setChosen(null)}>
      <p>${say("history.restore_help", { moment: formatMoment(chosen.at) })}</p>
      <div class="buttons"><button type="button" onClick=${() => setChosen(null)}>${say("cancel")}</button><button type="button" class="main" onClick=${restore}>${say("history.restore_do")}</button></div>
    <//>`}
  </main>`;
}

const formatMoment = (text) => new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(text));

function ActLine({ act, isNewest, onRestore }) {
  return html`<li>
    <time dateTime=${act.at}>${formatMoment(act.at)}</time>
    <b>${act.who}</b>
    <span class="what">${say(`did.${act.what}`, { name: act.name })}${act.photos > 1 && html` · ${sayCount("classes.photos", act.photos)}`}
      ${act.photo !== null && html` · <a href=${`#/photo/${act.photo}`}>${act.what.startsWith("photo") || !act.name ? act.name || say("history.photo") : say("history.photo")}</a>`}</span>
    ${!isNewest && html`<button type="button" class="small" onClick=${onRestore}>${say("history.restore")}</button>`}
  </li>`;
}
