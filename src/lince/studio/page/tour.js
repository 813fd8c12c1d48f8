// A tour in three steps for those who see the studio for the first time.

import { html, useState } from "./vendor/preact.js";
import { Dialog } from "./dialog.js";
import { say } from "./words.js";

const STEPS = ["photos", "label", "use"];

/** The tour, as a dialog. */
export function Tour({ onClose }) {
  const [step, setStep] = useState(0);
  const isLast = step === STEPS.length - 1;
  return html`<${Dialog} title=${say("tour.title", { step: step + 1, count: STEPS.length })} onClose=${onClose}>
    <section class="tour" aria-live="polite">
      <${TourPicture} step=${step} />
      <h3>${say(`tour.${STEPS[step]}`)}</h3>
      <p>${say(`tour.${STEPS[step]}_text`)}</p>
    </section>
    <div class="buttons">
      ${step > 0 && html`<button type="button" onClick=${() => setStep(step - 1)}>${say("tour.back")}</button>`}
      ${!isLast && html`<button type="button" onClick=${onClose}>${say("tour.skip")}</button>`}
      <button type="button" class="main" onClick=${() => (isLast ? onClose() : setStep(step + 1))}>${say(isLast ? "tour.end" : "tour.next")}</button>
    </div>
  <//>`;
}

function TourPicture({ step }) {
  return html`<svg viewBox="0 0 240 96" aria-hidden="true" class="tour-picture">
    ${step === 0 && [0, 1, 2, 3].map((place) => html`<g key=${place}><rect x=${14 + 56 * place} y="24" width="46" height="46" rx="5" class="frame" /><circle cx=${37 + 56 * place} cy="49" r=${8 + 2 * place} class="thing" /></g>`)}
    ${step === 1 && html`<rect x="60" y="8" width="120" height="80" rx="6" class="frame" /><circle cx="120" cy="50" r="22" class="thing" /><rect x="95" y="25" width="50" height="50" class="box" /><rect x="95" y="13" width="34" height="13" class="label" /><path d="M100 20h22" class="line" />`}
    ${step === 2 && html`<rect x="20" y="20" width="70" height="56" rx="6" class="frame" /><path d="M34 36h42M34 48h42M34 60h28" class="stroke" /><path d="M104 48h32m-10-9l10 9-10 9" class="stroke" /><circle cx="182" cy="48" r="28" class="frame" /><path d="M168 49l10 10 18-22" class="stroke" />`}
  </svg>`;
}
