"""Peer process: the same augmentations in albumentations; answers each input line with seconds per image."""

from __future__ import annotations

import os
import sys
import time

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # otherwise it checks online for a newer version
import albumentations as A  # noqa: N812
import cv2
import numpy as np

PER_ROUND, BOXES = 40, 20


def compose(n: int, with_boxes: bool) -> A.Compose:
    affine = A.Affine(
        rotate=(-15, 15),
        scale=(0.9, 1.1) if n >= 4 else 1.0,
        translate_percent=(-0.1, 0.1) if n >= 8 else None,
        shear={"x": (-8, 8)} if n >= 12 else 0.0,
        p=1,
    )
    colour = A.ColorJitter(
        brightness=(0.8, 1.2),
        contrast=(0.8, 1.2) if n >= 4 else (1.0, 1.0),
        saturation=(0.8, 1.2) if n >= 8 else (1.0, 1.0),
        hue=(-0.05, 0.05) if n >= 8 else (0.0, 0.0),
        p=1,
    )
    more = [A.HorizontalFlip(p=0.5), A.AutoContrast(p=1, method="pil"), A.Posterize(num_bits=5, p=1)] if n >= 12 else []
    params = A.BboxParams("pascal_voc", min_visibility=0.25, clip=True, label_fields=[]) if with_boxes else None
    return A.Compose([A.Resize(224, 224), affine, *more, colour], bbox_params=params)


def main() -> None:
    cv2.setNumThreads(1)
    coarse = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (500, 375), interpolation=cv2.INTER_CUBIC)
    corner = np.random.default_rng(0).uniform(0, [400, 300], (BOXES, 2))
    boxes = np.concatenate([corner, corner + np.array([80, 60])], axis=1).astype(np.float32)
    made: dict[str, A.Compose] = {}
    for line in sys.stdin:
        count, with_boxes = map(int, line.split())
        way = made.setdefault(line, compose(count, bool(with_boxes)))
        start = time.perf_counter()
        for _call in range(PER_ROUND):
            way(image=image, bboxes=boxes) if with_boxes else way(image=image)
        print((time.perf_counter() - start) / PER_ROUND, flush=True)


if __name__ == "__main__":
    main()
