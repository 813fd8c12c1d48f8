"""CVAT XML for images."""
