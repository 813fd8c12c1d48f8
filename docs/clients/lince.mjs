// Asks a `lince serve` for answers; the same lines run in a browser and in Node 20 or later.

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// `photos` are Files or Blobs; `options` are the server's: model, top, threshold. Gives a record a photo, in order.
export async function predict(server, photos, { token = "", patience = 60, ...options } = {}) {
  const form = new FormData();
  for (const photo of photos) form.append("images", photo, photo.name ?? "photo");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const until = Date.now() + patience * 1000;
  for (;;) {
    const answer = await fetch(`${server}/v1/predict?${new URLSearchParams(options)}`, {
      method: "POST",
      headers,
      body: form,
    });
    const said = await answer.json();
    if (answer.ok) return said.predictions;
    const wait = Number(answer.headers.get("Retry-After") ?? 1);
    const busy = answer.status === 429 || answer.status === 503;
    if (!busy || Date.now() + wait * 1000 > until) throw new Error(`${answer.status}: ${said.error.message}`);
    await pause(wait);
  }
}
