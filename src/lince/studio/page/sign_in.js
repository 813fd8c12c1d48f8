// Signing in with a name and a password, where others than the person at the studio's machine can reach it.

import { html, useEffect, useReducer, useRef, useState } from "./vendor/preact.js";
import { RequestError, postJson } from "./api.js";
import { Languages } from "./top_bar.js";
import { onLanguage, say } from "./words.js";

/** Whether a request failed because somebody has to sign in. */
export const needsSignIn = (error) => error instanceof RequestError && error.status === 401 && ["sign-in", "other-person"].includes(error.code);

/** A form for name and password; `onDone` gets the name of who signed in. */
export function SignInForm({ name = "", onDone }) {
  const person = useRef(null);
  const password = useRef(null);
  const [message, setMessage] = useState("");
  const [isBusy, setBusy] = useState(false);
  useEffect(() => (name ? password : person).current.focus(), []);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setMessage("");
    try {
      const answer = await postJson("api/enter", { name: person.current.value, password: password.current.value });
      onDone(answer.person);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      setMessage(error.status === 0 ? say("error.unreachable") : error.message);
      password.current.value = "";
      setBusy(false);
      password.current.focus();
    }
  };
  return html`<form class="sign-in" onSubmit=${submit}>
    <label class="field">${say("signin.name")}<input ref=${person} required maxlength="100" autocomplete="username" autocapitalize="none" spellcheck=${false} defaultValue=${name} /></label>
    <label class="field">${say("signin.password")}<input ref=${password} type="password" required maxlength="200" autocomplete="current-password" /></label>
    ${message && html`<p class="wrong" role="alert">${message}</p>`}
    <button class="main" disabled=${isBusy}>${say("signin.enter")}</button>
  </form>`;
}

/** The page that is shown instead of the project to whoever has not signed in. */
export function SignInPage({ onDone }) {
  const [, again] = useReducer((count) => count + 1, 0);
  useEffect(() => onLanguage(again), []);
  return html`<main class="obstacle">
    <h1>${say("signin.title")}</h1>
    <p>${say("signin.help")}</p>
    <${SignInForm} onDone=${onDone} />
    <p><${Languages} /></p>
  </main>`;
}

/** Above a page whose session ended: the same person goes on, for another one the page is loaded anew. */
export function SignInBanner({ project }) {
  const { person } = project.about;
  const done = (name) => (name === person ? project.reconnect() : location.reload());
  return html`<section class="banner" role="alert">
    <p>${say("signin.again", { name: person })}</p>
    <${SignInForm} name=${person} onDone=${done} />
  </section>`;
}
