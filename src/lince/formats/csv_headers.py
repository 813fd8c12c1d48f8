"""Names of columns in tables, in English, Spanish and Portuguese, for all formats that are tables."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

from lince.i18n import _

# In the form that ``normalise_header`` gives.
FILE_HEADERS = (
    "path", "file_path", "filepath", "filename", "file_name", "file", "image", "image_path", "image_name", "imagename",
    "img", "img_path", "archivo", "fichero", "nombre_archivo", "nombre_de_archivo", "nombre_imagen", "imagen", "foto",
    "ruta", "arquivo", "nome_arquivo", "nome_do_arquivo", "nome_imagem", "imagem", "caminho",
)  # fmt: skip
CLASS_HEADERS = (
    "class", "class_name", "label", "label_name", "labelname", "category", "species", "clase", "etiqueta", "categoria",
    "especie", "classe", "rotulo",
)  # fmt: skip
SPLIT_HEADERS = ("split", "set", "subset", "partition", "conjunto", "particion", "particao")
INDEX_HEADERS = ("", "index", "unnamed:_0", "indice", "nr", "no", "#")  # row numbers, as pandas and R write them

_LABEL_STUDIO_HEADERS = frozenset({"id", "annotator", "annotation_id", "lead_time", "created_at", "updated_at"})


def normalise_header(name: str) -> str:
    """Return a column name in lower case, without quotes and accents, with ``_`` for spaces and ``-``."""
    folded = name.strip().strip('"').lower().replace(" ", "_").replace("-", "_")
    decomposed = unicodedata.normalize("NFKD", folded)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def is_split_header(line: str) -> bool:
    """Whether ``line``, the first of a file called ``splits.csv``, may be of one that ``lince split`` wrote.

    A table of somebody's own has a column of classes, another word for the file, or more columns.

    >>> is_split_header("file;split"), is_split_header("file,class"), is_split_header("filename,split")
    (True, False, False)
    """
    names = [normalise_header(cell) for cell in re.split(r"[,;\t]", line)]
    if names[0] == "file" and names[1:2] == ["split"]:
        return {*names[2:]} <= {"fold", ""}
    return len(names) < 3 and names[0] not in FILE_HEADERS and {*names}.isdisjoint(CLASS_HEADERS)


def is_label_studio_header(names: Collection[str]) -> bool:
    """Whether normalised column names are those of Label Studio's CSV export."""
    return "id" in names and len(_LABEL_STUDIO_HEADERS.intersection(names)) > 2


def name_open_images_table(columns: Iterable[str]) -> str:
    """Return what a table of OpenImages without boxes holds, by its columns; empty for any other table."""
    names = {normalise_header(column) for column in columns}
    if {"imageid", "labelname", "confidence"} <= names and len(names) < 6:
        return _("classes of whole images, of OpenImages")
    if {"maskpath", "imageid", "labelname"} <= names:
        return _("masks of OpenImages")
    return _("pairs of objects, of OpenImages") if {"imageid", "labelname1", "labelname2"} <= names else ""


def make_open_images_remedy() -> str:
    """Return what to do about such a table."""
    return _("give lince the table of boxes: ...-annotations-bbox.csv")
