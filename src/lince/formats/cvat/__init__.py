"""CVAT XML for images 1.1: boxes, polygons, ellipses, masks and image classes."""
