"""COCO JSON: boxes, polygons and masks."""
