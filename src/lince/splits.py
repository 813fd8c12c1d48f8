"""The splits of a dataset: their numbers, names, and the synonyms for them in label files and folder names."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

UNASSIGNED, TRAIN, VAL, TEST = -1, 0, 1, 2
SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}
_WORDS_BY_SPLIT = {
    TRAIN: ("train", "training", "entrenamiento", "entreno", "entrenar", "treino", "treinos", "treinamento", "treinar"),
    VAL: (
        *("val", "valid", "validation", "dev", "validacion", "validaciones", "validar", "validacao", "validacoes"),
        *("validación", "validação", "validações"),
    ),
    TEST: ("test", "tests", "testing", "prueba", "pruebas", "teste", "testes"),
}
# In lower case, with and without accents.
SPLIT_WORDS = {word: split for split, words in _WORDS_BY_SPLIT.items() for word in words}
# Names of parts that say nothing of the split: photos to predict, photos that nobody has labelled, and numbered parts.
_OTHER_PART_WORDS = frozenset({
    "pred", "predict", "prediction", "predictions", "eval", "evaluation", "evaluacion", "avaliacao", "holdout",
    "unlabeled", "unlabelled", "unlabel", "unassigned", "submission", "inference", "prediccion", "predicciones",
    "predicao", "predicoes", "fold", "folds", "batch", "batches", "lote", "lotes",
})  # fmt: skip
# What stands beside the word for the split in the names of folders, without accents.
_AFFIXES = frozenset({
    "set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "imagen", "imagenes", "imagem",
    "imagens", "photo", "photos", "foto", "fotos", "picture", "pictures", "pic", "pics", "crop", "crops", "jpg", "jpeg",
    "png", "rgb", "mask", "masks", "label", "labels", "annotation", "annotations", "ann", "gt", "seg", "segmentation",
    "split", "splits", "part", "parts", "parte", "partes", "particion", "subset", "folder", "carpeta", "pasta",
    "conjunto", "datos", "dados", "de", "del", "da", "do", "of", "the", "for", "para", "files", "archivos", "arquivos",
    "final", "new", "raw", "original", "resized", "small", "sample", "samples",
})  # fmt: skip
# As in "trainset" and CamVid's "trainannot".
_GLUED_AFFIXES = ("dataset", "images", "image", "imgs", "set", "data", "annot", "masks", "labels")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LETTERS = re.compile(r"[^\W\d_]+")


def infer_split_from_folders(path: str) -> int:
    """Return the split that a folder in ``path`` is named after, ``UNASSIGNED`` when none is.

    ``path`` is relative to the data, with '/'. The outermost folder that is such a word counts, whatever its case, and
    without one the outermost that is named so with affixes (``train2017``); the file name does not. Absolute paths,
    which lead out of the data, have no split.
    """
    folders = () if posixpath.isabs(path) else path.split("/")[:-1]
    exact = (SPLIT_WORDS.get(fold_accents(name)) for name in folders)
    affixed = (parse_split_name(name) for name in folders)
    found = (split for splits in (exact, affixed) for split in splits if split is not None and split != UNASSIGNED)
    return next(found, UNASSIGNED)


def parse_split_name(name: str) -> int | None:
    """Return the split that the folder ``name`` stands for by itself: ``Train``, ``test_images``, ``validación 2``.

    ``UNASSIGNED`` stands for a part of the data of no known split (``pred``); ``None`` for any other name.
    """
    split, remainder = _parse_name(name)
    return None if remainder else split


def infer_part_splits(names: Iterable[str]) -> dict[str, int]:
    """Return the split of each of the neighbouring folders ``names`` that stands for a part of the data.

    Besides what ``parse_split_name`` finds these are names that differ by the word for the split alone, such as
    ``flowers_train`` and ``flowers_test``.
    """
    parsed = {name: _parse_name(name) for name in names}
    splits_by_remainder: dict[tuple[str, ...], set[int]] = {}
    for split, remainder in parsed.values():
        if split is not None:
            splits_by_remainder.setdefault(remainder, set()).add(split)
    return {
        name: split
        for name, (split, remainder) in parsed.items()
        if split is not None and (not remainder or len(splits_by_remainder[remainder]) > 1)
    }


def find_split_words(text: str) -> list[int]:
    """Return the splits of the words for splits in ``text``, such as a file name, in their order."""
    return [SPLIT_WORDS[word] for word in tokenise_name(text) if word in SPLIT_WORDS]


@lru_cache(4096)  # the folders of a dataset are few, and asked about for each of its files
def _parse_name(name: str) -> tuple[int | None, tuple[str, ...]]:
    """Return the split in a folder's name, ``None`` unless there is exactly one, and the words that are no affixes."""
    words = tokenise_name(name)
    splits = [_lookup_part(word) for word in words]
    found = {split for split in splits if split is not None}
    remainder = tuple(word for word, split in zip(words, splits, strict=True) if split is None and word not in _AFFIXES)
    return (found.pop() if len(found) == 1 else None), remainder


def _lookup_part(word: str) -> int | None:
    """Return the split of one word, also where an affix is glued to it; ``None`` for any other word."""
    for stem in (word, *(word.removesuffix(affix) for affix in _GLUED_AFFIXES if word.endswith(affix))):
        if stem in SPLIT_WORDS:
            return SPLIT_WORDS[stem]
        if stem in _OTHER_PART_WORDS:
            return UNASSIGNED
    return None


def tokenise_name(text: str) -> list[str]:
    """Return the words of ``text`` in lower case and without accents; digits, punctuation and capitals divide them."""
    return _LETTERS.findall(fold_accents(_CAMEL_CASE.sub(" ", text)))


def fold_accents(text: str) -> str:
    """Return ``text`` in lower case and without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
