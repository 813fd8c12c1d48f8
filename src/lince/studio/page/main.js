import { html, render } from "./vendor/preact.js"; render(html`<p>…</p>`, document.getElementById("app"));
