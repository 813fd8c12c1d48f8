"""What a YOLO set declares about itself: class names and parts, in a YAML file, in Darknet's files, or in a list."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from lince.annotations import Classes
from lince.errors import AmbiguousError, DataError
from lince.formats.image_lookup import normalise_path
from lince.i18n import _
from lince.parsing.json_reader import is_encodable_text
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage.tree import DataLocation, FileTree

MAX_CONFIG_BYTES = 2**20  # bytes of a file that declares a set
MAX_CLASSES = 10_000
UNASSIGNED_KEY = "unassigned"  # our key in data.yaml for images of no part; other readers pass over it
_MAX_DEPTH = 20
_HEAD_BYTES = 16_384
_YAML_SUFFIXES = (".yaml", ".yml")
_YAML_SIGNS = re.compile(
    r"""^["']?names["']?\s*: | ^nc\s*:(?s:.*)^(train|val)\s*: | ^(train|val)\s*:(?s:.*)^nc\s*:""",
    re.MULTILINE | re.VERBOSE,
)
_DARKNET_SIGNS = re.compile(r"^\s*(names|train|valid)\s*=", re.MULTILINE)
_CLASS_LIST_FILES = ("classes.txt", "labels.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")
_NULL_WORDS = ("", "~", "null", "none")


class _TextLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Builds texts, lists and maps alone: classes called ``no`` and ``1`` are texts, and no tag builds anything."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012


@dataclass(frozen=True)
class SplitEntry:
    """One of train, val and test: its ``key``, its split, and where it says that its images are."""

    key: str
    split: int
    mentions: tuple[str, ...]


@dataclass(frozen=True)
class YoloDatasetConfig:
    """What is declared: class ``names`` by number (``None`` when nowhere), parts, and the ``path`` they start from.

    ``files`` are the files that say so, the chief one first. ``points`` tells that rows carry key points.
    """

    files: tuple[str, ...] = ()
    names: Mapping[int, str] | None = None
    split_entries: tuple[SplitEntry, ...] = ()
    path: str = ""
    has_keypoints: bool = False

    @property
    def folder(self) -> str:
        """The folder in which the chief file lies."""
        return posixpath.dirname(self.files[0]) if self.files else ""


def find_config_files(place: DataLocation) -> list[str]:
    """Return the YAML files, or else Darknet's ``.data`` files, that declare a YOLO set; the least deep ones."""
    for endings, expression in ((_YAML_SUFFIXES, _YAML_SIGNS), ((".data",), _DARKNET_SIGNS)):
        found = [name for name in place.find_by_suffix(*endings) if _head_matches(place.tree, name, expression)]
        depth = min((name.count("/") for name in found), default=0)
        if found:
            return [name for name in found if name.count("/") == depth]
    return []


def read_dataset_config(place: DataLocation) -> YoloDatasetConfig:
    """Return what the set at ``place`` declares.

    Raise ``AmbiguousError`` when two files declare different things, ``DataError`` when one cannot be used.
    """
    found = [place.file] if place.file else find_config_files(place)
    if len(found) > 1:
        raise AmbiguousError(
            _("{path} holds several descriptions of a set: {names}.").format(path=place.path, names=", ".join(found)),
            _("Expected one."),
            _("Name the one that is meant as the data."),
        )
    if not found or found[0].lower().endswith(".txt"):
        return _config_from_class_list(place)
    return (
        read_darknet_config(place.tree, found[0])
        if found[0].lower().endswith(".data")
        else read_yaml_config(place.tree, found[0])
    )


def read_yaml_config(tree: FileTree, name: str) -> YoloDatasetConfig:
    """Return what the YAML file ``name`` declares; raise ``DataError`` when it is none, or names other than texts."""
    path = f"{tree.root / name}"
    value = _load_yaml(path, read_small_text(tree, name))
    if not isinstance(value, dict):
        raise _config_error(_("{path} holds no keys and values.").format(path=path))
    parts = [
        _parse_split_entry(path, str(key), item)
        for key, item in value.items()
        if str(key).lower() in (*SPLIT_WORDS, UNASSIGNED_KEY)
    ]
    base = value.get("path", "")
    return YoloDatasetConfig(
        files=(name,),
        names=_parse_names(path, value.get("names"), value.get("nc")),
        split_entries=tuple(part for part in parts if part.mentions),
        path=normalise_path(base) if isinstance(base, str) and base.lower() not in _NULL_WORDS else "",
        has_keypoints="kpt_shape" in value,
    )


def read_darknet_config(tree: FileTree, name: str) -> YoloDatasetConfig:
    """Return what Darknet's file ``name`` of lines ``key = value`` declares."""
    pairs = (line.split("=", 1) for line in read_small_text(tree, name).splitlines() if "=" in line)
    said = {key.strip().lower(): value.strip() for key, value in pairs}
    parts = [SplitEntry(key, SPLIT_WORDS[key], (said[key],)) for key in ("train", "valid", "test") if said.get(key)]
    names = said.get("names", "")
    near = posixpath.dirname(name)
    tried = (
        posixpath.normpath(posixpath.join(near, path))
        for path in (normalise_path(names), posixpath.basename(normalise_path(names)))
    )
    listed = next((path for path in tried if names and path in tree.listing.name_set), None)
    if listed is None:
        raise DataError(
            _("{path}: the file of class names is not there: '{names}'.").format(path=tree.root / name, names=names),
            _("Expected a line names = FILE."),
            _("Put the file beside it."),
        )
    return YoloDatasetConfig((name, listed), dict(enumerate(read_class_list(tree, listed))), tuple(parts))


def read_small_text(tree: FileTree, name: str) -> str:
    """Return the text of the small file ``name``; raise ``DataError`` when it is not UTF-8 or too large."""
    data = tree.read(name, MAX_CONFIG_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _config_error(_("{path}:{line} is not UTF-8.").format(path=tree.root / name, line=line)) from error


def read_class_list(tree: FileTree, name: str) -> list[str]:
    """Return the class names in the file ``name``, one a line."""
    found = [line.strip() for line in read_small_text(tree, name).splitlines() if line.strip()]
    return _check_names(f"{tree.root / name}", found)


def is_class_list(name: str) -> bool:
    """Whether a file of this name holds class names, one a line."""
    return posixpath.basename(name).lower() in _CLASS_LIST_FILES or name.lower().endswith(".names")


def _config_from_class_list(place: DataLocation) -> YoloDatasetConfig:
    """Return the set whose class names stand in a list; the same one may lie in several folders."""
    tree = place.tree
    found = {
        name: read_class_list(tree, name)
        for name in tree.listing.find_by_suffix(".txt", ".names", ".labels")
        if is_class_list(name)
    }
    if not found:
        return YoloDatasetConfig()
    first, names = next(iter(found.items()))
    other = next((name for name, listed in found.items() if listed != names), None)
    if other is not None:
        raise AmbiguousError(
            _("{one} and {other} hold different class names.").format(one=tree.root / first, other=other),
            _("Expected one list of classes."),
            _("Remove the one that is wrong."),
        )
    return YoloDatasetConfig(tuple(found), dict(enumerate(names)))


def _head_matches(tree: FileTree, name: str, expression: re.Pattern[str]) -> bool:
    try:
        head = tree.head(name, _HEAD_BYTES).decode("utf-8", "replace")
    except DataError:
        return False
    return expression.search(head) is not None


def _load_yaml(path: str, text: str) -> Any:
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_TextLoader):  # before anything is built: the builder calls itself
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise _config_error(_("{path} is nested too deep.").format(path=path))
        return yaml.load(text, Loader=_TextLoader)  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else path
        why = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise _config_error(_("{place} cannot be used: {error}.").format(place=place, error=why)) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise _config_error(_("{place} cannot be used: {error}.").format(place=path, error=error)) from error


def _parse_split_entry(path: str, key: str, value: Any) -> SplitEntry:
    mentions = value if isinstance(value, list) else [value]
    if not all(isinstance(mention, str) for mention in mentions):
        raise _config_error(_("{path}: '{key}' is neither a path nor a list of paths.").format(path=path, key=key))
    kept = tuple(mention for mention in mentions if mention.strip().lower() not in _NULL_WORDS)
    return SplitEntry(key, SPLIT_WORDS.get(key.lower(), UNASSIGNED), kept)


def _parse_names(path: str, names: Any, count: Any) -> dict[int, str] | None:
    number = _parse_number(count) if isinstance(count, str) else None
    if names is None or names in _NULL_WORDS:
        return None if number is None else dict(enumerate(_default_class_names(path, number)))
    if isinstance(names, dict):
        found = dict(sorted(_parse_name_map(path, names)))
    elif isinstance(names, list) and all(isinstance(name, str) for name in names):
        found = dict(enumerate(names))
    else:
        raise _config_error(_("{path}: 'names' is neither a list nor a map of class names.").format(path=path))
    _check_names(path, list(found.values()))
    if number is not None and number not in (len(found), max(found, default=-1) + 1):
        raise DataError(
            _("{path} has {count} names, and nc is {number}.").format(path=path, count=len(found), number=number),
            _("Expected as many names as nc says."),
            _("Correct the file: a missing name shifts every class after it."),
        )
    return found


def _parse_name_map(path: str, names: Mapping[Any, Any]) -> Iterator[tuple[int, str]]:
    for key, name in names.items():
        number = _parse_number(key) if isinstance(key, str) else None
        if number is None or not isinstance(name, str):
            raise _config_error(_("{path}: 'names' holds {entry}.").format(path=path, entry=f"{key}: {name}"[:60]))
        yield number, name


def _default_class_names(path: str, count: int) -> list[str]:
    if count > MAX_CLASSES:
        raise _config_error(_("{path} declares {count:,} classes.").format(path=path, count=count))
    return [default_class_name(number) for number in range(count)]


def default_class_name(number: int) -> str:
    """Return what a class is called whose name is nowhere."""
    return f"class_{number}"


def _check_names(path: str, names: list[str]) -> list[str]:
    if len(names) > MAX_CLASSES:
        raise _config_error(_("{path} declares {count:,} classes.").format(path=path, count=len(names)))
    if not all(name.strip() and is_encodable_text(name) for name in names):
        raise _config_error(_("{path} has a class without a name.").format(path=path))
    Classes(tuple(names))
    return names


def _parse_number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _config_error(found: str) -> DataError:
    return DataError(
        found,
        _("Expected a description of a YOLO set: names, train, val."),
        _("Correct the file, or remove it and put the class names into classes.txt, one a line."),
    )
