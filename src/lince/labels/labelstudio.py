"""Label Studio's JSON and JSON_MIN: a list of tasks, each a photo and what was drawn on it (labelstud.io, Task format).

Of several annotations of one task, the first that was not cancelled counts; the others are listed. What is said about a
region beside its label (texts, ratings) is passed over. A labelling configuration (XML with the root ``View``) beside
the tasks gives the order of the classes.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from lince.annotations import UNLABELLED, Rejected
from lince.errors import DataError
from lince.labels import jsonfile, xmltree
from lince.labels.format import Format, Holds
from lince.labels.jsonfile import Node, WrongValueError, is_text
from lince.labels.kinds import Kinds
from lince.labels.labelstudioshape import Region, class_of, labels_of, mark_of
from lince.labels.labelstudiowrite import file, write
from lince.labels.marks import Marks
from lince.labels.nearby import outwards
from lince.labels.photos import Photos, size
from lince.labels.scan import looks_like_image
from lince.labels.table import SPLIT_WORDS, UNASSIGNED, Options, Table
from lince.labels.tree import Place, Tree
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "labelstudio"
_PROBES = 8
_HEAD = 2048
_MENTION_AT_MOST = 4096
_SIGNS_OF_ANNOTATION = {"result", "completed_by", "was_cancelled"}
_MINIMAL = {"annotator", "annotation_id", "lead_time"}
_ABOUT = _MINIMAL | {"created_at", "updated_at"}
_SERVER = re.compile(r"[a-z][a-z0-9+.-]*://[^/]*/", re.IGNORECASE)
_UPLOADED = re.compile(r"((?:.*/)?)[0-9a-f]{8}-(.+)")


def detect(place: Place) -> str | None:
    """Return what speaks for Label Studio at ``place``: JSON with its tasks; ``None`` when nothing does."""
    names = place.ending(".json")
    found = [name for name in names[:: max(1, len(names) // _PROBES)] if _is_tasks(place.tree, name)]
    return _("Label Studio's tasks: {names}").format(names=", ".join(found[:2])) if found else None


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read every task of the JSON files at ``place``; the split is in its data, else in the folder of its photo.

    Raise ``DataError`` when a file is not JSON.
    """
    photos, names, others = _found(place)
    reader = _Reader(photos, options)
    reader.pass_over(others)
    for name in names:
        root = Node(jsonfile.load(photos.tree, name), name)
        if not isinstance(root.value, list):
            raise root.wrong(_("a list of tasks"))
        with progress.stage(_("Reading the labels"), len(root.value)) as stage:
            for task in root.items():
                reader.add(task, posixpath.dirname(name))
                stage.advance()
    return reader.table()


class _Reader:
    def __init__(self, photos: Photos, options: Options) -> None:
        self._photos = photos
        self._marks = Marks(options)
        self._kinds = Kinds(_configured(photos.tree, self._marks))
        self._used: set[str] = set()

    def pass_over(self, others: list[str]) -> None:
        """Name the files that are something else."""
        for name in others:
            self._marks.reject(name, _("not the tasks of Label Studio"), _("export it again, or move it elsewhere"))

    def add(self, task: Node, near: str) -> None:
        """Add one task of a file in the folder ``near``."""
        try:
            self._task(task, near)
        except WrongValueError as error:
            self._marks.reject(error.path, error.reason, error.remedy, fault=error.fault)

    def table(self) -> Table:
        """Return the table of all tasks."""
        return self._kinds.settled(self._marks.table(self._photos.tree, NAME, self._kinds.names))

    def _task(self, task: Node, near: str) -> None:
        if not isinstance(task.value, dict):
            raise task.wrong(_("a task"))
        data = task.value["data"] if isinstance(task.value.get("data"), dict) else task.value
        mention = _mention(data)
        photo = self._photo(mention, near)
        if photo is None:
            shown = jsonfile.shown(mention)
            raise WrongValueError(task.path, _("its photo {name} is not there").format(name=shown), "no-image")
        if photo in self._used:
            raise WrongValueError(task.path, _("{name} stands twice").format(name=photo), "double")
        regions = self._regions(task)
        if regions is None:
            raise WrongValueError(task.path, _("nobody has labelled {name} yet").format(name=photo), "no-label")
        self._used.add(photo)
        shape = next(filter(all, (region.size for region in regions)), None) or size(self._photos.tree, photo)
        row = self._marks.image(photo, _split(data, photo), shape, self._class(regions))
        self._draw(row, regions, shape)

    def _regions(self, task: Node) -> list[Region] | None:
        """Return what the annotation that counts says; ``None`` when there is no annotation."""
        key = "completions" if "completions" in task.value else "annotations"
        if not isinstance(task.value.get(key), list):
            return list(self._each(_minimal, _said(task))) if _MINIMAL & task.value.keys() else None
        chosen: Node | None = None
        for annotation in task.at(key).items():
            cancelled = annotation.at("was_cancelled").value is True or annotation.at("skipped").value is True
            if cancelled:
                self._pass(annotation, _("an annotation that was cancelled"))
            elif chosen is not None:
                self._pass(annotation, _("another annotation of the same task"))
            else:
                chosen = annotation
        return None if chosen is None else list(self._each(Region.of, chosen.at("result").items()))

    def _each(self, make: Callable[[Node], Region], nodes: Iterable[Node]) -> Iterator[Region]:
        for node in nodes:
            try:
                yield make(node)
            except WrongValueError as error:
                self._marks.reject(error.path, error.reason, error.remedy, fault=error.fault)

    def _pass(self, annotation: Node, reason: str) -> None:
        self._marks.reject(annotation.path, reason, _("the first that was not cancelled counts; remove the others"))

    def _class(self, regions: list[Region]) -> int:
        """Return the class of the image as a whole; further ones are refused."""
        found = UNLABELLED
        for region in regions:
            name = class_of(region)
            if name and found == UNLABELLED:
                found = self._kinds.id(name)
            elif name:
                self._marks.reject(region.path, _("an image of several classes"), _("keep one"))
        return found

    def _draw(self, row: int, regions: list[Region], shape: tuple[int, int]) -> None:
        labelled = {region.id for region in regions if region.id and labels_of(region)}
        for region in regions:
            if class_of(region) or (region.id in labelled and not labels_of(region)):
                continue
            try:
                name, mark = mark_of(region, shape)
            except WrongValueError as error:
                self._marks.reject(error.path, error.reason, error.remedy, fault=error.fault)
            except DataError as error:
                self._marks.reject(region.path, error.found, error.remedy)
            else:
                self._marks.add(row, mark(self._kinds.id(name)))

    def _photo(self, mention: str, near: str) -> str | None:
        if len(mention) > _MENTION_AT_MOST or not is_text(mention):
            return None
        for name in _readings(mention):
            found = self._photos.find(name, near)
            if found is not None and is_text(found):
                return found
        return None


def _readings(mention: str) -> Iterator[str]:
    """Yield what ``mention`` may call the photo: a path, one of local storage or a server, without upload's prefix."""
    path = _SERVER.sub("", mention.strip(), count=1)
    if "?d=" in path:
        path = path.partition("?d=")[2].partition("&")[0]
    elif path != mention.strip():
        path = path.partition("?")[0]
    for name in dict.fromkeys((path, unquote(path))):
        yield name
        uploaded = _UPLOADED.fullmatch(name)
        if uploaded:
            yield uploaded[1] + uploaded[2]


def _mention(data: dict[str, Any]) -> str:
    """Return what the data of a task call its photo: under ``image``, else the first that looks like one."""
    texts = [value for value in (data.get("image"), *data.values()) if isinstance(value, str)]
    likely = (text for text in texts if looks_like_image(text.partition("?")[0]) or looks_like_image(text))
    return next(likely, texts[0] if texts else "")


def _said(task: Node) -> Iterator[Node]:
    """Yield what a task of JSON_MIN says: regions one by one, and choices, which stand after its id."""
    keys = list(task.value)
    for key in keys[keys.index("id") + 1 if "id" in keys else 0 :]:
        node = task.at(key)
        if key in _ABOUT or node.value is None:
            continue
        if isinstance(node.value, list):
            yield from node.items()
        else:
            yield node


def _minimal(node: Node) -> Region:
    """Return the region or the choice at ``node``; raise ``WrongValueError`` when it is neither."""
    return Region(node.path, {"choices": node.value}, {}) if isinstance(node.value, str) else Region.alone(node)


def _split(data: dict[str, Any], photo: str) -> int:
    said = data.get("split", data.get("subset"))
    if isinstance(said, str) and said.lower() in SPLIT_WORDS:
        return SPLIT_WORDS[said.lower()]
    folders = [] if posixpath.isabs(photo) else photo.lower().split("/")[:-1]
    return next((SPLIT_WORDS[word] for word in folders if word in SPLIT_WORDS), UNASSIGNED)


def _configured(tree: Tree, marks: Marks) -> list[str]:
    """Return the classes in the order of a labelling configuration in ``tree``, if there is one."""
    for name in tree.listing.ending(".xml")[:_PROBES]:
        try:
            if xmltree.root_tag(tree.head(name, _HEAD)) != "View":
                continue
            root = xmltree.parse(tree.read(name, xmltree.AT_MOST), name)
        except DataError as error:
            root = Rejected(name, error.found, error.remedy)
        if isinstance(root, Rejected):
            marks.rejected.append(root)
            continue
        labels = (part.attributes for part in root.within() if part.tag in ("Label", "Choice"))
        return [name for label in labels if (name := (label.get("alias") or label.get("value", "")).strip())]
    return []


def _is_tasks(tree: Tree, name: str) -> bool:
    value = jsonfile.peek(tree, name)
    first = value[0] if isinstance(value, list) and value else None
    if not isinstance(first, dict):
        return False
    annotations = first.get("annotations", first.get("completions"))
    if not isinstance(annotations, list):
        return bool(_MINIMAL & first.keys()) or (isinstance(first.get("data"), dict) and "predictions" in first)
    inner = annotations[0] if annotations else {}
    return isinstance(first.get("data"), dict) or (
        isinstance(inner, dict) and bool(_SIGNS_OF_ANNOTATION & inner.keys())
    )


def _found(place: Place) -> tuple[Photos, list[str], list[str]]:
    """Return the photos, of the place or the folders beside it; the label files, and other JSON, as seen from there."""
    there = place.ending(".json")
    named = [name for name in there if place.file or _is_tasks(place.tree, name)]
    others = sorted(set(there) - set(named))
    first: tuple[Photos, list[str], list[str]] | None = None
    for tree, prefix in outwards(place):
        found = Photos(tree), [prefix + name for name in named], [prefix + name for name in others]
        if found[0].names:
            return found
        first = first or found
    return first or (Photos(place.tree), named, others)


FORMAT = Format(
    NAME,
    detect,
    read,
    (Holds.LABELS | Holds.BOXES | Holds.OUTLINES | Holds.MASKS | Holds.SPLITS | Holds.CLASSES)
    | (Holds.NEGATIVES | Holds.PATHS),
    write,
    file,
)
