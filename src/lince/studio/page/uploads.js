// Sends files to the project: photos one by one, archives and videos in pieces.

import { RequestError, postFile, postJson } from "./api.js";

const PIECE_BYTES = 8 * 2 ** 20;
const MAX_PHOTO_BYTES = 64 * 2 ** 20;
const MAX_REASONS = 100;

/**
 * Add files and return { added, known, rejected: { count, first } }. `every` is the seconds between two frames of a
 * video, of which `changed` takes only those that show something new; `onProgress` gets how many files are done, and of how many.
 * @param {File[]} files
 * @param {{ every?: number, changed?: boolean, onProgress?: (done: number, count: number) => void }} options
 */
export async function addFiles(files, { every = 1, changed = false, onProgress = () => {} }) {
  const total = { added: 0, known: 0, rejected: { count: 0, first: [] } };
  onProgress(0, files.length);
  // One after the other, so that they come in their order.
  for (const [place, file] of files.entries()) {
    add(total, await addOne(file, every, changed));
    onProgress(place + 1, files.length);
  }
  return total;
}

/** Return the files that were dropped, also those in folders. */
export async function listDropped(transfer) {
  const entries = /** @type {any[]} */ ([...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean));
  const plain = [...transfer.files];
  if (!entries.some((entry) => entry.isDirectory)) return plain;
  const lists = await Promise.all(entries.map(listEntry));
  return lists.flat();
}

async function listEntry(entry) {
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) break;
    found.push(...batch);
  }
  const lists = await Promise.all(found.map(listEntry));
  return lists.flat();
}

function add(total, one) {
  total.added += one.added;
  total.known += one.known;
  for (const name of ["labels", "classes", "kept"]) if (one[name] !== undefined) total[name] = (total[name] ?? 0) + one[name];
  total.rejected.count += one.rejected.count;
  total.rejected.first = [...total.rejected.first, ...one.rejected.first].slice(0, MAX_REASONS);
}

/** Add one file; what the server refuses is told with the others, and they go on. */
async function addOne(file, every, changed) {
  try {
    if (/\.zip$/i.test(file.name)) return await addInPieces(file, "zip", {});
    if (isVideo(file)) return await addInPieces(file, "video", { every, changed });
    if (file.size > MAX_PHOTO_BYTES) return reject(file, "> 64 MiB");
    return await postFile(`api/photos?name=${encodeURIComponent(file.name)}`, file);
  } catch (error) {
    if (!(error instanceof RequestError) || error.status === 0 || error.status === 401 || error.status >= 500) throw error;
    return reject(file, error.message);
  }
}

const isVideo = (file) => file.type.startsWith("video/") || /\.(mkv|avi|mts|wmv|flv)$/i.test(file.name);
const reject = (file, reason) => ({ added: 0, known: 0, rejected: { count: 1, first: [`${file.name}: ${reason}`] } });

async function addInPieces(file, kind, options) {
  const { id } = await postJson("api/uploads", { size: file.size });
  for (let offset = 0; offset < file.size; offset += PIECE_BYTES) {
    await postFile(`api/uploads/${id}?offset=${offset}`, file.slice(offset, offset + PIECE_BYTES));
  }
  return postJson(`api/uploads/${id}/${kind}`, { name: file.name, ...options });
}
