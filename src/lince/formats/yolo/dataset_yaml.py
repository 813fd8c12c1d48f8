"""Reads the declaration of a YOLO dataset: class names and splits, from YAML, Darknet's ``.data`` or a class list."""

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

MAX_CONFIG_BYTES = 2**20  # bytes of a file that declares a dataset
MAX_CLASSES = 10_000
UNASSIGNED_KEY = "unassigned"  # lince's key in data.yaml for images without a split; other readers ignore it
_MAX_DEPTH = 20  # nested lists and maps
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
    """A YAML loader that builds only strings, lists and maps.

    Classes named ``no``, ``1`` or ``null`` stay strings, and tags cannot construct Python objects.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012


@dataclass(frozen=True)
class SplitEntry:
    """The images of one split as declared: its ``key`` in the file, its ``split``, and the ``paths`` of its images.

    A path is a folder, an image, or a text file that lists images.
    """

    key: str
    split: int
    paths: tuple[str, ...]


@dataclass(frozen=True)
class YoloDatasetConfig:
    """The declaration of a dataset.

    ``files`` are the files with the declaration, the main one first. ``names`` are the classes by
    number, ``None`` when they are not declared. ``path`` is the base of the paths of the splits.
    ``has_keypoints``: the rows of the label files have keypoints after the box
    (``kpt_shape``).
    """

    files: tuple[str, ...] = ()
    names: Mapping[int, str] | None = None
    split_entries: tuple[SplitEntry, ...] = ()
    path: str = ""
    has_keypoints: bool = False

    @property
    def folder(self) -> str:
        """The folder of the main file, '' for the root."""
        return posixpath.dirname(self.files[0]) if self.files else ""


def find_config_files(location: DataLocation) -> list[str]:
    """Return the YAML files, or else Darknet's ``.data`` files, that declare a YOLO dataset.

    Of several, only those at the lowest depth are returned: others belong to datasets within.
    """
    for suffixes, pattern in ((_YAML_SUFFIXES, _YAML_SIGNS), ((".data",), _DARKNET_SIGNS)):
        names = [name for name in location.find_by_suffix(*suffixes) if _head_matches(location.tree, name, pattern)]
        depth = min((name.count("/") for name in names), default=0)
        if names:
            return [name for name in names if name.count("/") == depth]
    return []


def read_dataset_config(location: DataLocation) -> YoloDatasetConfig:
    """Return the declaration of the dataset at ``location``; an empty one when nothing declares it.

    Raise ``AmbiguousError`` when several files declare it, ``DataError`` when the file cannot be
    used.
    """
    config_files = [location.file] if location.file else find_config_files(location)
    if len(config_files) > 1:
        raise AmbiguousError(
            _("{path} contains several dataset files: {names}.").format(
                path=location.path, names=", ".join(config_files)
            ),
            _("Expected one."),
            _("Give one of them as the data."),
        )
    if not config_files or config_files[0].lower().endswith(".txt"):
        return _config_from_class_list(location)
    if config_files[0].lower().endswith(".data"):
        return read_darknet_config(location.tree, config_files[0])
    return read_yaml_config(location.tree, config_files[0])


def read_yaml_config(tree: FileTree, name: str) -> YoloDatasetConfig:
    """Return the declaration in the YAML file ``name``.

    Raise ``DataError`` when it is not a map, when class names are not strings or do not match
    ``nc``, or when the paths of a split are neither a string nor a list of strings.
    """
    path = f"{tree.root / name}"
    value = load_yaml(path, read_small_text(tree, name))
    if not isinstance(value, dict):
        raise _config_error(_("{path} does not contain keys and values.").format(path=path))
    entries = [
        _parse_split_entry(path, str(key), item)
        for key, item in value.items()
        if str(key).lower() in (*SPLIT_WORDS, UNASSIGNED_KEY)
    ]
    base_path = value.get("path", "")
    return YoloDatasetConfig(
        files=(name,),
        names=_parse_names(path, value.get("names"), value.get("nc")),
        split_entries=tuple(entry for entry in entries if entry.paths),
        path=normalise_path(base_path) if isinstance(base_path, str) and base_path.lower() not in _NULL_WORDS else "",
        has_keypoints="kpt_shape" in value,
    )


def read_darknet_config(tree: FileTree, name: str) -> YoloDatasetConfig:
    """Return the declaration in Darknet's file ``name``, which has lines ``key = value``.

    Raise ``DataError`` when the file of class names is missing. It is searched relative to
    ``name``, and then in the same folder, since its path is often that of another machine.
    """
    pairs = (line.split("=", 1) for line in read_small_text(tree, name).splitlines() if "=" in line)
    values = {key.strip().lower(): value.strip() for key, value in pairs}
    entries = [
        SplitEntry(key, SPLIT_WORDS[key], (values[key],)) for key in ("train", "valid", "test") if values.get(key)
    ]
    names_path = values.get("names", "")
    folder = posixpath.dirname(name)
    candidates = (
        posixpath.normpath(posixpath.join(folder, path))
        for path in (normalise_path(names_path), posixpath.basename(normalise_path(names_path)))
    )
    names_file = next((path for path in candidates if names_path and path in tree.listing.name_set), None)
    if names_file is None:
        raise DataError(
            _("{path}: the file of class names is missing: '{names}'.").format(path=tree.root / name, names=names_path),
            _("Expected a line names = FILE."),
            _("Put the file next to it."),
        )
    return YoloDatasetConfig((name, names_file), dict(enumerate(read_class_list(tree, names_file))), tuple(entries))


def read_small_text(tree: FileTree, name: str) -> str:
    """Return the text of the file ``name``; raise ``DataError`` when it is not UTF-8 or too large."""
    data = tree.read(name, MAX_CONFIG_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _config_error(_("{path}:{line} is not UTF-8.").format(path=tree.root / name, line=line)) from error


def read_class_list(tree: FileTree, name: str) -> list[str]:
    """Return the class names in the file ``name``, one per line; empty lines are skipped.

    Raise ``DataError`` when there are too many or a name is not valid.
    """
    names = [line.strip() for line in read_small_text(tree, name).splitlines() if line.strip()]
    return _check_names(f"{tree.root / name}", names)


def is_class_list(name: str) -> bool:
    """Whether a file of this name holds class names, one per line."""
    return posixpath.basename(name).lower() in _CLASS_LIST_FILES or name.lower().endswith(".names")


def _config_from_class_list(location: DataLocation) -> YoloDatasetConfig:
    """Return the declaration of a dataset with a class list only; an empty one without a list.

    Copies of the list in several folders are one; raise ``AmbiguousError`` when they differ.
    """
    tree = location.tree
    lists = {
        name: read_class_list(tree, name)
        for name in tree.listing.find_by_suffix(".txt", ".names", ".labels")
        if is_class_list(name)
    }
    if not lists:
        return YoloDatasetConfig()
    first, names = next(iter(lists.items()))
    different = next((name for name, other_names in lists.items() if other_names != names), None)
    if different is not None:
        raise AmbiguousError(
            _("{one} and {other} contain different class names.").format(one=tree.root / first, other=different),
            _("Expected one list of classes."),
            _("Remove the one that is wrong."),
        )
    return YoloDatasetConfig(tuple(lists), dict(enumerate(names)))


def _head_matches(tree: FileTree, name: str, pattern: re.Pattern[str]) -> bool:
    """Whether ``pattern`` is found in the beginning of the file ``name``."""
    try:
        head = tree.head(name, _HEAD_BYTES).decode("utf-8", "replace")
    except DataError:
        return False
    return pattern.search(head) is not None


def load_yaml(path: str, text: str) -> Any:
    """Return the value in a YAML text; raise ``DataError`` when it is invalid or nested too deeply."""
    try:
        depth = 0
        for event in yaml.parse(
            text, Loader=_TextLoader
        ):  # the constructor is recursive, so the depth is checked first
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise _config_error(_("{path} is nested too deeply.").format(path=path))
        return yaml.load(text, Loader=_TextLoader)  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        position = f"{path}:{mark.line + 1}" if mark else path
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise _config_error(_("{place} cannot be used: {error}.").format(place=position, error=reason)) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise _config_error(_("{place} cannot be used: {error}.").format(place=path, error=error)) from error


def _parse_split_entry(path: str, key: str, value: Any) -> SplitEntry:
    """Return the declared images of one split; empty paths and ``null`` are left out."""
    paths = value if isinstance(value, list) else [value]
    if not all(isinstance(path_text, str) for path_text in paths):
        raise _config_error(_("{path}: '{key}' is neither a path nor a list of paths.").format(path=path, key=key))
    given = tuple(path_text for path_text in paths if path_text.strip().lower() not in _NULL_WORDS)
    return SplitEntry(key, SPLIT_WORDS.get(key.lower(), UNASSIGNED), given)


def _parse_names(path: str, names: Any, declared_count: Any) -> dict[int, str] | None:
    """Return the class names by number, ascending; ``None`` when neither names nor ``nc`` are given.

    Raise ``DataError`` when ``nc`` differs from the number of names and from the highest number
    plus one.
    """
    number = _parse_number(declared_count) if isinstance(declared_count, str) else None
    if names is None or names in _NULL_WORDS:
        return None if number is None else dict(enumerate(_default_class_names(path, number)))
    if isinstance(names, dict):
        names_by_number = dict(sorted(_parse_name_map(path, names)))
    elif isinstance(names, list) and all(isinstance(name, str) for name in names):
        names_by_number = dict(enumerate(names))
    else:
        raise _config_error(_("{path}: 'names' is neither a list nor a map of class names.").format(path=path))
    _check_names(path, list(names_by_number.values()))
    if number is not None and number not in (len(names_by_number), max(names_by_number, default=-1) + 1):
        raise DataError(
            _("{path} has {count} names, and nc is {number}.").format(
                path=path, count=len(names_by_number), number=number
            ),
            _("Expected as many names as nc says."),
            _("Correct the file: a missing name shifts every class after it."),
        )
    return names_by_number


def _parse_name_map(path: str, names: Mapping[Any, Any]) -> Iterator[tuple[int, str]]:
    """Yield the number and the name of each class in a map; raise ``DataError`` for other entries."""
    for key, name in names.items():
        number = _parse_number(key) if isinstance(key, str) else None
        if number is None or not isinstance(name, str):
            raise _config_error(_("{path}: 'names' contains {entry}.").format(path=path, entry=f"{key}: {name}"[:60]))
        yield number, name


def _default_class_names(path: str, count: int) -> list[str]:
    """Return names for ``count`` classes; raise ``DataError`` for too many."""
    if count > MAX_CLASSES:
        raise _config_error(_("{path} declares {count:,} classes.").format(path=path, count=count))
    return [default_class_name(number) for number in range(count)]


def default_class_name(number: int) -> str:
    """Return the name of a class whose name is not declared."""
    return f"class_{number}"


def _check_names(path: str, names: list[str]) -> list[str]:
    """Return ``names``; raise ``DataError`` when there are too many, or one is empty, not UTF-8 or a duplicate."""
    if len(names) > MAX_CLASSES:
        raise _config_error(_("{path} declares {count:,} classes.").format(path=path, count=len(names)))
    if not all(name.strip() and is_encodable_text(name) for name in names):
        raise _config_error(_("{path} has a class without a name.").format(path=path))
    Classes(tuple(names))
    return names


def _parse_number(text: str) -> int | None:
    """Return the non-negative integer in ``text``, ``None`` when there is none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _config_error(problem: str) -> DataError:
    """Return the error for a declaration that cannot be used."""
    return DataError(
        problem,
        _("Expected a YOLO dataset file: names, train, val."),
        _("Correct the file, or remove it and put the class names in classes.txt, one per line."),
    )
