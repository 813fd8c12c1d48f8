// The annotator at work: which photo is shown, its labels and picture, the keys, who else is there.

import { makeActions, withSize } from "./annotate_actions.js";
import { PhotoDocument } from "./annotate_document.js";
import { PhotoAnswers, PhotoRecords, Pictures, listNeighbours } from "./annotate_pictures.js";
import { Stage } from "./annotate_stage.js";
import { getJson, postJson } from "./api.js";
import { makeId, session } from "./ids.js";
import { digitOf, matchKey } from "./keys.js";
import { say, sayCount } from "./words.js";

const PRESENCE_MS = 15_000;
const ADVANCE = "lince-advance";

/** One for as long as the page is open. Events: `change`, `dialog`. */
export class AnnotateSession extends EventTarget {
  photo = null; // a PhotoDocument
  ids = [];
  dialog = null; // "class", "comment" or "keys"
  notice = "";
  problem = "";
  isFree = true;
  isWhole = false; // classes of whole photos
  goesOn = localStorage.getItem(ADVANCE) === "yes"; // to the next photo once a class is chosen
  #queue;
  #shown = null; // id of the photo that is shown or comes
  #pictures = new Pictures();
  #answers;
  #timer = 0;
  #endings = [];

  constructor(frame, project, queue) {
    super();
    this.project = project;
    this.#queue = queue;
    this.isWhole = project.about.task === "classification";
    this.records = new PhotoRecords(project, queue);
    this.#answers = new PhotoAnswers(project);
    this.stage = new Stage(frame, (id) => project.findClass(id));
    this.stage.tool.hasCross = !this.isWhole;
    if (this.isWhole) this.stage.setTool("select");
    this.act = makeActions(this.#makePage());
    this.#chooseFirstClass();
    this.#listen(this.stage, "change", () => this.#showChange());
    this.#listen(this.stage, "needs-class", () => this.open("class"));
    this.#listen(this.records, "change", () => this.#showChange());
    this.#listen(project, "change", () => this.#takeProject());
    this.#listen(project, "presence", () => this.#showChange());
    this.#listen(document, "keydown", (event) => this.#press(event));
    this.#listen(window, "keyup", (event) => event.key === " " && this.#setPanning(false));
    this.#listen(window, "blur", () => this.#setPanning(false));
    this.#listen(window, "pagehide", () => this.stage.finishNudge());
    this.#timer = setInterval(() => this.#tellPresence(), PRESENCE_MS);
  }

  close() {
    this.stage.close();
    this.photo?.close();
    this.records.close();
    this.#answers.close();
    clearInterval(this.#timer);
    for (const end of this.#endings) end();
    postJson("api/presence", { session, photo: null }, true).catch(() => {});
  }

  get place() {
    return this.ids.indexOf(this.#shown);
  }

  /** Show a photo; `ids` are those before and after it, all of the project where none are given. */
  async show(photoId, ids) {
    // The order stays while one goes on, also where a photo that is done leaves the filter.
    if (ids?.includes(photoId) && !this.ids.includes(photoId)) this.ids = ids;
    if (photoId === this.#shown) return this.#showChange();
    this.#shown = photoId;
    this.stage.finishNudge();
    try {
      if (!this.ids.includes(photoId)) this.ids = (await getJson("api/photos/ids")).ids;
      await this.#load(photoId);
    } catch (error) {
      if (this.#shown !== photoId) return;
      this.#shown = null;
      this.problem = error.status === 0 ? say("annotate.problem.unreachable") : error.message || say("annotate.problem.picture");
      this.#showChange();
    }
  }

  async #load(photoId) {
    const photo = new PhotoDocument(photoId, this.project, this.#queue);
    const known = this.records.find(photoId);
    if (known) this.#pictures.get(known).catch(() => {}); // both come at the same time
    const ahead = photo.unsavedCount ? null : await this.#answers.take(photoId);
    if (ahead) photo.show(ahead);
    else await photo.load();
    const picture = await this.#pictures.get(photo.record).catch(() => null);
    if (this.#shown !== photoId) return photo.close();
    this.photo?.close();
    this.photo = photo;
    this.problem = picture ? "" : say("annotate.problem.picture");
    for (const name of ["change", "conflict"]) photo.addEventListener(name, () => this.#takeChange());
    photo.addEventListener("notice", (/** @type {any} */ { detail: { name, values } }) => this.#say(say(name, values)));
    this.records.put(photo.record);
    this.stage.open(photo, picture ?? new Image());
    this.#tellPresence();
    this.#prepare();
    if (ahead) photo.load().catch(() => {}); // what may have changed since
  }

  async #prepare() {
    const { place } = this;
    await this.records.read(listNeighbours(this.ids, place)).catch(() => {});
    if (place !== this.place) return;
    this.#pictures.prepare(this.ids, place, this.records);
    this.#answers.prepare(this.ids[place + 1]);
  }

  /** Open a dialog of the page: "class", "comment" or "keys"; `null` closes it. */
  open(dialog) {
    this.dialog = dialog;
    if (!dialog) this.stage.homeless = this.stage.draft = null;
    this.stage.showChange();
    this.dispatchEvent(new Event("dialog")); // shown before the next key comes
  }

  /** Set the class of what is selected, else of the next shapes; of the photo where whole photos have classes. */
  chooseClass(id, isMore = false) {
    const { stage } = this;
    if (!this.photo) return;
    if (this.isWhole) {
      this.#choosePhotoClass(id, isMore);
      return;
    }
    const isLocked = stage.locked.has(stage.selectedId);
    if (stage.selected && !isLocked) stage.changeSelected({ ...stage.selected, class: id });
    stage.setClass(id);
    const words = stage.selected && !isLocked ? "class-set" : "class-next";
    this.#say(say(`annotate.notice.${words}`, { name: this.#nameClass(id) }));
  }

  #choosePhotoClass(id, isMore) {
    const now = this.photo.state.classes;
    const classes = isMore ? toggle(now, id) : [id];
    this.photo.changeState({ classes, state: this.photo.state.state === "skipped" ? "draft" : this.photo.state.state });
    this.#say(say("annotate.notice.photo-class", { name: classes.map((one) => this.#nameClass(one)).join(", ") }));
    if (this.goesOn && !isMore) this.finish("done");
  }

  /** Add a class to the project and choose it. */
  async addClass(name) {
    const { classes } = this.project.about;
    const taken = new Set(classes.map((one) => one.key));
    const key = [..."123456789"].find((digit) => !taken.has(digit)) ?? "";
    const after = { name, key, colour: COLOURS[classes.length % COLOURS.length], position: classes.length, alive: true, merged_into: null };
    const edit = makeId();
    const adding = this.#queue.add({ key: edit, target: { kind: "class", id: "" }, before: null, after });
    if (!(await this.#queue.whenSaved())) return say("annotate.problem.class-waits", { name });
    const outcome = await adding;
    if (outcome.status !== "saved") {
      this.#queue.forget([edit]);
      return outcome.message || say("annotate.problem.class");
    }
    await this.project.refresh();
    this.chooseClass(Number(outcome.id));
    return "";
  }

  /** Go to another photo, `step` further. Whether there is one. */
  go(step) {
    const next = this.ids[this.place + step];
    this.stage.finishNudge();
    if (next === undefined || this.place < 0) {
      this.#say(say(step > 0 ? "annotate.notice.last" : "annotate.notice.first"));
      return false;
    }
    location.hash = `#/photo/${next}`;
    return true;
  }

  /** Say that the photo is done or skipped, and go to the next one. */
  finish(state) {
    if (!this.photo) return false;
    this.stage.tool.finish();
    this.stage.finishNudge();
    if (state === "done" && this.isWhole && !this.photo.state.classes.length) {
      this.#say(say("annotate.notice.no-class"));
      return false;
    }
    this.photo.changeState({ state });
    if (!this.go(1)) this.#say(say(`annotate.notice.last-${state}`));
    return true;
  }

  /** Go to the next photo that is not done and that nobody else has. */
  async goToFree() {
    try {
      if (!(await this.#queue.whenSaved())) throw new Error("not saved"); // what was finished must not come again
      const { photo } = await postJson("api/next", { session, after: this.#shown });
      if (photo === null) this.#say(say("annotate.notice.none-free"));
      else location.hash = `#/photo/${photo}`;
    } catch {
      this.#say(say("annotate.problem.unreachable"));
    }
  }

  /** Whether choosing a class goes on to the next photo. */
  setGoesOn(goesOn) {
    this.goesOn = goesOn;
    localStorage.setItem(ADVANCE, goesOn ? "yes" : "no");
    this.#showChange();
  }

  /** Add a comment on the selected shape, or on the photo. */
  addComment(text) {
    const after = { photo: this.photo.id, shape: this.stage.selectedId ?? "", text, done: false, who: this.project.about.person };
    this.photo.change([{ kind: "comment", id: makeId(), after }]);
    this.open(null);
  }

  #makePage() {
    return {
      stage: this.stage,
      isWhole: () => this.isWhole,
      go: (step) => this.go(step),
      finish: (state) => this.finish(state),
      open: (dialog) => this.open(dialog),
      notify: (name, count) => this.#say(count === undefined ? say(name) : sayCount(name, count)),
      readPrevious: () => this.#readPrevious(),
    };
  }

  async #readPrevious() {
    const previous = this.ids[this.place - 1];
    if (previous === undefined) return [];
    const photo = new PhotoDocument(previous, this.project, this.#queue); // also with what is not saved yet
    try {
      await photo.load();
      return photo.shapes.map(([, shape]) => withSize(shape, photo.record));
    } finally {
      photo.close();
    }
  }

  #press(event) {
    if (event.defaultPrevented || document.querySelector("dialog[open]") || !this.photo) return;
    const action = matchKey(event);
    if (!action) return;
    const isOnButton = event.target instanceof Element && event.target.closest("button, a, summary, input");
    if (isOnButton && ["Enter", " ", "Tab"].includes(event.key) && !event.ctrlKey) return;
    if (event.target instanceof Element && event.target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
    if (this.#act(action, event)) event.preventDefault();
  }

  #act(action, event) {
    if (action === "view.pan") return this.#setPanning(true);
    if (action === "class.choose" || action === "class.toggle") {
      const chosen = this.#findClassOfKey(digitOf(event));
      if (chosen) this.chooseClass(chosen.id, action === "class.toggle");
      return Boolean(chosen);
    }
    if (action === "shape.next" || action === "shape.previous") return this.#cycle(action);
    this.#isLeaving = action === "cancel" && !this.stage.selectedId;
    return this.act(action, event);
  }

  #isLeaving = false; // Esc has left the photo: Tab goes on to the buttons, as everywhere

  #cycle(action) {
    const isOutside = document.activeElement !== document.body && !this.stage.hasFocus;
    if (isOutside || this.#isLeaving || this.isWhole) {
      this.#isLeaving = false;
      return false;
    }
    return this.act(action);
  }

  #findClassOfKey(digit) {
    const { classes } = this.project.about;
    return classes.find((one) => one.key === digit) ?? (classes.some((one) => one.key) ? undefined : classes[Number(digit) - 1]);
  }

  #setPanning(isPanning) {
    if (this.stage.isPanning !== isPanning) {
      this.stage.isPanning = isPanning;
      this.stage.showChange();
    }
    return true;
  }

  #chooseFirstClass() {
    const { classes } = this.project.about;
    if (!classes.some((one) => one.id === this.stage.classId)) this.stage.classId = classes[0]?.id ?? null;
  }

  #takeProject() {
    this.isWhole = this.project.about.task === "classification";
    if (!this.stage.homeless) this.#chooseFirstClass();
    this.stage.showChange();
  }

  #takeChange() {
    const { stage } = this;
    if (stage.selectedId && !stage.preview && !this.photo.findShape(stage.selectedId)) stage.selectedId = null;
    stage.showChange();
  }

  async #tellPresence() {
    if (!this.photo || document.hidden) return;
    try {
      const { present, free } = await postJson("api/presence", { session, photo: this.photo.id });
      this.project.present = present;
      this.isFree = free;
      this.#showChange();
    } catch {
      // The queue shows that the server cannot be reached.
    }
  }

  #nameClass(id) {
    return this.project.findClass(id)?.name ?? "";
  }

  #say(text) {
    this.notice = text;
    this.#showChange();
  }

  #listen(source, name, listener) {
    source.addEventListener(name, listener);
    this.#endings.push(() => source.removeEventListener(name, listener));
  }

  #showChange() {
    this.dispatchEvent(new Event("change"));
  }
}

// lince's own colours of classes, as in all of its pictures.
const COLOURS = ["#e67800", "#0072b2", "#009469", "#cc5a96", "#56b4e9", "#aa3c00", "#7864c8", "#968c14"];

const toggle = (ids, id) => (ids.includes(id) ? ids.filter((one) => one !== id) : [...ids, id].sort((a, b) => a - b));
