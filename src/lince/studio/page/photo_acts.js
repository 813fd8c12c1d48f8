// Acts on the photos of the gallery, each undone as one.

import { RequestError } from "./api.js";
import { tell, tellError } from "./notices.js";
import { say, sayCount } from "./words.js";

/** Change fields of the photos `ids`; return whether there was anything to do. The page shows it at once. */
export function changePhotos({ list, acts, ids, fields, seen }) {
  if (!ids.length) return false;
  list.assume(ids, fields);
  acts.run("api/photos/change", { photos: ids, fields, seen }).then(
    (answer) => {
      list.forget(ids);
      if (ids.length > 1) tell(sayCount("act.changed", answer.photos), { action: { label: say("undo"), run: () => undoAct(acts, list) } });
    },
    (error) => {
      list.forget(ids);
      tellError(error);
    },
  );
  return true;
}

/** Give photos the class with a key, or, for "0", no class. Return whether that was possible. */
export function setClass({ project, list, acts, ids, key }) {
  if (project.about.task !== "classification") {
    tell(say("gallery.class_of_boxes"));
    return false;
  }
  const chosen = project.about.classes.find((one) => one.key === key);
  if (!chosen && key !== "0") {
    tell(say("gallery.no_class_key", { key }));
    return false;
  }
  return changePhotos({ list, acts, ids, fields: makeClassFields(chosen?.id ?? null), seen: project.last });
}

/** The fields of a photo that has one class, which finishes it, or none. */
export const makeClassFields = (id) => (id === null ? { classes: [], state: "new" } : { classes: [id], state: "done" });

/** Take back the last act on the project. */
export const undoAct = (acts, list) => goBack(acts.undo(), list, "undo");

/** Make it again. */
export const redoAct = (acts, list) => goBack(acts.redo(), list, "redo");

async function goBack(answer, list, name) {
  try {
    const { count, photos } = await answer;
    if (!count) tell(say(`${name}.none`));
    else tell(photos ? sayCount(`${name}.photos`, photos) : say(`${name}.done`));
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    tellError(error);
  }
  list.forget(list.ids);
}
