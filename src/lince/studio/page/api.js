// Requests to the studio's server: JSON both ways, errors with the server's own message.

/** An answer that is no success. `status` is 0 where the server could not be reached; `code` is for programs. */
export class RequestError extends Error {
  constructor(status, code, message, body = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.body = body;
  }
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new RequestError(0, "unreachable", "");
  }
  const isJson = (response.headers.get("content-type") ?? "").startsWith("application/json");
  const body = isJson ? await response.json() : null;
  if (!response.ok) {
    throw new RequestError(response.status, body?.error?.code ?? "failed", body?.error?.message ?? "", body);
  }
  return body;
}

/** Return the JSON at `path`, such as `api/project`; paths are relative to the page. */
export const getJson = (path) => request(path, { headers: commonHeaders() });

/** Send `body` as JSON to `path` and return the answer; `keepalive` lets it outlive the page. */
export const postJson = (path, body, keepalive = false) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...commonHeaders() },
    body: JSON.stringify(body),
    keepalive,
  });

/** Send the bytes of a file to `path` and return the answer. */
export const postFile = (path, file) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream", ...commonHeaders() },
    body: file,
  });

let person = "";

/** Say who is signed in on this page; the server takes no change of it under another name. */
export function setPerson(name) {
  person = name;
}

// Error messages follow the language of the page, not that of the browser.
const commonHeaders = () => ({ "Accept-Language": document.documentElement.lang, "X-Lince-Person": encodeURIComponent(person) });
