// People who work on the project: owners add and remove them and choose their roles; everybody has a password.

import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { RequestError, getJson, postJson } from "./api.js";
import { Dialog } from "./dialog.js";
import { tell, tellError } from "./notices.js";
import { say } from "./words.js";
import { useEvents } from "./hooks.js";

/** The page of the people. */
export function PeoplePage({ project }) {
  useEvents(project, "change");
  const { about } = project;
  return html`<main class="people-page">
    <h1>${say("page.people")}</h1>
    ${about.has_passwords && html`<${Me} about=${about} />`}
    ${about.role === "owner" ? html`<${Others} about=${about} />` : html`<p class="quiet">${say("people.owners_only")}</p>`}
    <h2>${say("people.roles")}</h2>
    <dl class="roles">
      ${["reader", "labeller", "reviewer", "owner"].map((role) => html`<dt key=${role}>${say(`role.${role}`)}</dt><dd>${say(`role.${role}_help`)}</dd>`)}
    </dl>
  </main>`;
}

/** Who is signed in in this browser. */
function Me({ about }) {
  const [isShown, setShown] = useState(false);
  const leave = async () => {
    try {
      await postJson("api/leave", {});
      location.reload();
    } catch (error) {
      tellError(error);
    }
  };
  return html`<section class="me">
    <p>${say("people.me", { name: about.person, role: say(`role.${about.role}`) })}</p>
    <p class="buttons">
      <button type="button" onClick=${() => setShown(true)}>${say("people.change_password")}</button>
      <button type="button" onClick=${leave}>${say("people.leave")}</button>
    </p>
    ${isShown && html`<${OwnPasswordDialog} name=${about.person} onClose=${() => setShown(false)} />`}
  </section>`;
}

/** The people of the project, for owners. */
function Others({ about }) {
  const [listed, setListed] = useState(null);
  const [dialog, setDialog] = useState(null); // { name, person }
  const read = () => getJson("api/people").then(setListed, tellError);
  useEffect(() => {
    read();
  }, []);
  const save = async (path, body) => {
    await postJson(path, body);
    await read();
    setDialog(null);
  };
  const choose = (name, role) => save("api/people", { name, role }).catch((error) => {
    tellError(error);
    read();
  });
  if (!listed) return html`<p class="quiet">${say("loading")}</p>`;
  const { people, roles } = listed;
  return html`<section>
    ${!about.has_passwords && html`<p class="quiet">${say("people.local")} <code>lince studio ${about.name} --host 0.0.0.0</code></p>`}
    ${people.length > 0 && html`<ul class="people-list">
      ${people.map((one) => html`<li key=${one.name}>
        <b class="initial" style=${{ background: one.colour }} aria-hidden="true">${one.name.slice(0, 1).toUpperCase()}</b>
        <span class="name">${one.name}${!one.has_password && html` <span class="quiet">${say("people.no_password")}</span>`}</span>
        <select aria-label=${say("people.role_of", { name: one.name })} value=${one.role} onChange=${(event) => choose(one.name, event.target.value)}>
          ${roles.map((role) => html`<option key=${role} value=${role} selected=${role === one.role}>${say(`role.${role}`)}</option>`)}
        </select>
        <button type="button" onClick=${() => setDialog({ name: "password", person: one.name })}>${say("people.new_password")}</button>
        <button type="button" onClick=${() => setDialog({ name: "remove", person: one.name })}>${say("people.remove")}</button>
      </li>`)}
    </ul>`}
    <button type="button" class="main" onClick=${() => setDialog({ name: "add" })}>${say("people.add")}</button>
    ${dialog?.name === "add" && html`<${PersonDialog} roles=${roles} isFirst=${!people.length} onSave=${(body) => save("api/people", { ...body, is_new: true })} onClose=${() => setDialog(null)} />`}
    ${dialog?.name === "password" && html`<${PersonDialog} person=${dialog.person} onSave=${(body) => save("api/people", body).then(() => tell(say("people.saved", { name: body.name })))} onClose=${() => setDialog(null)} />`}
    ${dialog?.name === "remove" && html`<${RemoveDialog} person=${dialog.person} onSave=${() => save("api/people/remove", { name: dialog.person }).catch(tellError)} onClose=${() => setDialog(null)} />`}
  </section>`;
}

/** A new person, or a new password for `person`. */
function PersonDialog({ person = "", roles = [], isFirst = false, onSave, onClose }) {
  const [message, setMessage] = useState("");
  const name = useRef(null);
  const password = useRef(null);
  const role = useRef(null);
  const submit = async (event) => {
    event.preventDefault();
    const body = { name: person || name.current.value, password: password.current.value };
    await tellBelow(setMessage, () => onSave(person ? body : { ...body, role: role.current.value }));
  };
  return html`<${Dialog} title=${person ? say("people.password_of", { name: person }) : say("people.add")} onClose=${onClose}>
    <form onSubmit=${submit}>
      ${!person && html`<label class="field">${say("signin.name")}<input ref=${name} required maxlength="40" autocomplete="off" autocapitalize="none" spellcheck=${false} /></label>`}
      <label class="field">${say("signin.password")}<input ref=${password} type="password" required minlength="8" maxlength="200" autocomplete="new-password" /></label>
      <p class="quiet">${say("people.password_help")}</p>
      ${!person && html`<label class="field">${say("people.role")}<select ref=${role}>
        ${roles.map((one) => html`<option key=${one} value=${one} selected=${one === (isFirst ? "owner" : "labeller")}>${say(`role.${one}`)}</option>`)}
      </select></label>`}
      ${message && html`<p class="wrong" role="alert">${message}</p>`}
      <div class="buttons"><button type="button" onClick=${onClose}>${say("cancel")}</button><button class="main">${say(person ? "people.set" : "people.add")}</button></div>
    </form>
  <//>`;
}

function OwnPasswordDialog({ name, onClose }) {
  const [message, setMessage] = useState("");
  const old = useRef(null);
  const chosen = useRef(null);
  const submit = async (event) => {
    event.preventDefault();
    await tellBelow(setMessage, async () => {
      await postJson("api/me/password", { old: old.current.value, new: chosen.current.value });
      tell(say("people.saved", { name }));
      onClose();
    });
  };
  return html`<${Dialog} title=${say("people.change_password")} onClose=${onClose}>
    <form onSubmit=${submit}>
      <input type="text" hidden autocomplete="username" value=${name} readonly />
      <label class="field">${say("people.old_password")}<input ref=${old} type="password" required maxlength="200" autocomplete="current-password" /></label>
      <label class="field">${say("people.new_password")}<input ref=${chosen} type="password" required minlength="8" maxlength="200" autocomplete="new-password" /></label>
      <p class="quiet">${say("people.password_help")}</p>
      ${message && html`<p class="wrong" role="alert">${message}</p>`}
      <div class="buttons"><button type="button" onClick=${onClose}>${say("cancel")}</button><button class="main">${say("people.set")}</button></div>
    </form>
  <//>`;
}

function RemoveDialog({ person, onSave, onClose }) {
  return html`<${Dialog} title=${say("people.remove_title", { name: person })} onClose=${onClose}>
    <p>${say("people.remove_help")}</p>
    <div class="buttons"><button type="button" onClick=${onClose}>${say("cancel")}</button><button type="button" class="main" onClick=${onSave}>${say("people.remove")}</button></div>
  <//>`;
}

/** Do something, and show in the dialog why it was refused. */
async function tellBelow(setMessage, act) {
  setMessage("");
  try {
    await act();
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    setMessage(error.status === 0 ? say("error.unreachable") : error.message || say("error.failed"));
  }
}
