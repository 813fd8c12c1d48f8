"""Labels that lince does not read are named with their file and what to do, and the remedies lead on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lince import images
from lince.errors import LinceError
from lince.formats import open_table

PHOTO = images.encode_png(np.zeros((40, 80, 3), np.uint8))
KEY_POINTS = (
    '<annotation><image>a</image><category>person</category><keypoints><keypoint name="L_Eye" visible="1" x="1" y="2"/>'
    '</keypoints><visible_bounds height="10" width="10" xmin="1" ymin="2"/></annotation>'
)
MANIFEST = json.dumps({"source-ref": "s3://b/a.png", "box": {"annotations": [{"class_id": 0, "top": 1, "left": 1}]}})
VOTT_1 = json.dumps({"frames": {"a.png": [{"x1": 1, "y1": 2}]}, "framerate": "1", "inputTags": "cat", "scd": False})
VIA_3 = json.dumps({"project": {}, "config": {}, "attribute": {}, "file": {}, "metadata": {}, "view": {}})
BDD = json.dumps({"name": "a", "frames": [{"timestamp": 1, "objects": [{"category": "car"}]}], "attributes": {}})
BOXES = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"
KNOWN = {
    "det.json": (BDD, r"BDD100K \(turn it into COCO .* -i det\.json"),
    "out.manifest": (MANIFEST, r"SageMaker \(write its boxes into a CSV table"),
    "ann/a.xml": (KEY_POINTS, r"Pascal \(key points\) \(write its boxes"),
    "v1.json": (VOTT_1, r"VoTT 1 \(export it from VoTT as Pascal VOC"),
    "v3.json": (VIA_3, r"VIA 3 \(write its boxes"),
    "seg.csv": (f"{BOXES}\na_m.png,a,/m/1,x,0,1,0,1,1,\n", r"masks of OpenImages \(give lince the table of boxes"),
    "il.csv": ("ImageID,Source,LabelName,Confidence\na,verification,/m/1,1\n", r"whole images, of OpenImages"),
    "vrd.csv": (
        "ImageID,LabelName1,LabelName2,RelationshipLabel\na,/m/1,/m/2,on\n",
        r"pairs of objects, of OpenImages",
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_formats_are_named_with_a_remedy(name: str, awkward: Path) -> None:
    text, said = KNOWN[name]
    for path, data in {"images/a.png": PHOTO, "images/b.png": PHOTO, name: text.encode()}.items():
        (awkward / path).parent.mkdir(parents=True, exist_ok=True)
        (awkward / path).write_bytes(data)
    with pytest.raises(LinceError, match=rf"{name}: .*{said}"):
        open_table(awkward)
    (awkward / "boxes.csv").write_text("filename,class,xmin,ymin,xmax,ymax\na.png,x,1,2,3,4\n")
    assert list(open_table(awkward).names) == ["images/a.png"]
