// Permanent ids, made by the page, so that an edit that is sent twice is one edit.

/** Return a new UUID of version 7 (RFC 9562): its first 48 bits are the time in milliseconds. */
export function makeId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let time = Date.now();
  for (let place = 5; place >= 0; place -= 1) {
    bytes[place] = time % 256;
    time = Math.floor(time / 256);
  }
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [8, 4, 4, 4, 12].reduce(
    ({ parts, rest }, length) => ({ parts: [...parts, rest.slice(0, length)], rest: rest.slice(length) }),
    { parts: [], rest: digits },
  ).parts.join("-");
}

/** This tab of the browser, as the journal and the others see it; a copied tab has another one. */
export const session = makeId();
