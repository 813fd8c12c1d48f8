// Sends photos to `lince serve` and returns its predictions; runs in browsers and in Node 20 or later.

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// `photos` are Files or Blobs; `options` are those of the server: model, top, threshold. Returns one record per photo.
export async function predict(server, photos, { token = "", patience = 60, ...options } = {}) {
  const form = new FormData();
  for (const photo of photos) form.append("images", photo, photo.name ?? "photo");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const until = Date.now() + patience * 1000;
  for (;;) {
    const response = await fetch(`${server}/v1/predict?${new URLSearchParams(options)}`, {
      method: "POST",
      headers,
      body: form,
    });
    const body = await response.json();
    if (response.ok) return body.predictions;
    const wait = Number(response.headers.get("Retry-After") ?? 1);
    const busy = response.status === 429 || response.status === 503;
    if (!busy || Date.now() + wait * 1000 > until) throw new Error(`${response.status}: ${body.error.message}`);
    await pause(wait);
  }
}
