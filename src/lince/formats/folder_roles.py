"""What a folder holds by its name: photos of all classes, labels or masks of photos, or a class.

Words are those of English, Spanish and Portuguese; case and accents do not count.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from lince.splits import fold_accents, parse_split_name, tokenise_name

IMAGE_FOLDERS = frozenset({
    "images", "image", "imgs", "img", "jpegimages", "leftimg8bit", "photos", "pictures", "rgb", "imagenes", "imagen",
    "imagens", "imagem", "fotos",
})  # fmt: skip
MASK_FOLDERS = frozenset({
    "masks", "mask", "segmentationclass", "segmentationclasspng", "segmentationclassraw", "trimaps", "segmentations",
    "segmentation", "labels", "annotations", "label", "annotation", "groundtruth", "ground_truth", "gt", "semseg",
    "mascaras", "mascara", "etiquetas", "rotulos", "anotaciones", "anotacoes",
})  # fmt: skip
MASK_WORDS = frozenset({
    "mask", "masks", "label", "labels", "gt", "annotation", "annotations", "segmentation", "semseg", "mascara",
    "mascaras", "etiquetas", "rotulos",
})  # fmt: skip
# Folders that hold the images or annotations of all classes together, in other tools too.
_NON_CLASS_FOLDERS = frozenset({
    "images", "image", "imgs", "img", "jpegimages", "leftimg8bit", "imagenes", "imagen", "imagens", "imagem",
    "annotations", "annotation", "annots", "ann", "labels", "label", "masks", "mask", "segmentations", "segmentation",
    "segmentationclass", "segmentationobject", "gtfine", "gtcoarse", "ground_truth", "groundtruth", "imagesets",
    "mascaras", "mascara", "etiquetas", "rotulos", "anotaciones", "anotacoes",
    "obj_train_data", "obj_valid_data", "obj_test_data",
})  # fmt: skip
# What pictures of the same place can be, beside its photo; each word alone may be a class as well.
_LAYER_WORDS = MASK_WORDS | {
    "annot", "annots", "anotaciones", "anotacoes", "color", "colour", "depth", "disparity", "edges", "grayscale",
    "groundtruth", "input", "inputs", "instance", "instances", "ir", "nir", "normals", "panoptic", "rgb", "segmented",
    "segmentado", "semantic", "target", "targets", "thermal",
}  # fmt: skip
_NEGATIONS = frozenset({"no", "non", "not", "un", "without", "with", "sin", "con", "sem", "com", "nao"})
_TRAILING_NUMBER = re.compile(r"(?<=[a-z])[-_ ]?[0-9]+$")  # as in KITTI's image_2
_NUMBERED_LABEL = re.compile(r"(?:label|etiqueta|rotulo)[-_ ]?[0-9]+")


def is_class_name(name: str, siblings: Collection[str] = ()) -> bool:
    """Whether a folder of this name may stand for a class, beside other folders of photos called ``siblings``.

    ``mask`` does beside ``no_mask``, and ``label_0`` beside ``label_1``.
    """
    folded = fold_accents(name)
    if _TRAILING_NUMBER.sub("", folded) not in _NON_CLASS_FOLDERS:
        return True
    words, others = set(tokenise_name(name)), [one for one in siblings if one != name]
    if any(words < (found := set(tokenise_name(one))) and found & _NEGATIONS for one in others):
        return True
    return bool(others) and all(_NUMBERED_LABEL.fullmatch(fold_accents(one)) for one in (name, *others))


def is_mask_folder(name: str) -> bool:
    """Whether a folder of this name may hold masks: ``masks``, ``train_masks``, ``trainannot``, ``máscaras``."""
    folded = fold_accents(name)
    if folded in MASK_FOLDERS or not MASK_WORDS.isdisjoint(re.split(r"[-_ ]", folded)):
        return True
    return folded.endswith("annot") and parse_split_name(folded.removesuffix("annot")) is not None


def may_be_layers(names: Collection[str]) -> bool:
    """Whether folders of these names may hold layers of the same photos, such as ``RGB``, ``Depth`` and ``SemSeg``.

    One is named so, and another without its word; ``with_mask`` and ``without_mask`` are not.
    """
    words_by_name = {name: {fold_accents(name), *tokenise_name(name)} for name in names}
    layers = [words & _LAYER_WORDS for words in words_by_name.values() if not words & _NEGATIONS]
    return any(layer and any(not layer & words for words in words_by_name.values()) for layer in layers)
