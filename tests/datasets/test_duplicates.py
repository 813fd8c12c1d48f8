"""Duplicate search: altered copies are found, other photos are not, a second search uses the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from lince import images
from lince.datasets import open_dataset
from lince.datasets.duplicates import search
from lince.datasets.duplicates.alignment import compute_similarity
from lince.datasets.duplicates.search import (
    DuplicatePair,
    compute_fingerprints,
    compute_hamming_distances,
    compute_perceptual_hashes,
    find_duplicates,
)


def picture(seed: int, height: int = 180, width: int = 240) -> Image.Image:
    """Return an image of soft and sharp shapes that differs from that of any other seed."""
    rng = np.random.default_rng(seed)
    canvas = np.asarray(
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
    ).copy()
    for _shape in range(25):
        y, x = rng.integers(0, height - 12), rng.integers(0, width - 12)
        canvas[y : y + rng.integers(4, 60), x : x + rng.integers(4, 60)] = rng.integers(0, 256, 3)
    return Image.fromarray(canvas)


def cut(share: float) -> Callable[[Image.Image], Image.Image]:
    def alter(image: Image.Image) -> Image.Image:
        width, height = image.size
        return image.crop((round(width * share), 0, width, round(height * (1 - share))))

    return alter


ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half the size": lambda image: image.resize((120, 90)),
    "squeezed": lambda image: image.resize((150, 180)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.25),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
    "cut": cut(0.04),
    "turned a little": lambda image: image.rotate(2, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)),
    "coarse JPEG": lambda image: Image.fromarray(images.decode_image(images.encode_jpeg(np.asarray(image), 30))),
}


def folders(root: Path, pictures: dict[str, Image.Image]) -> Path:
    for name, image in pictures.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return root


def names(root: Path, pairs: tuple[DuplicatePair, ...]) -> set[tuple[str, str, bool]]:
    dataset = open_dataset(root)
    return {
        (*sorted(dataset.images.get_name(row) for row in (pair.first, pair.second)), pair.is_near_duplicate)
        for pair in pairs
    }


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_an_altered_copy_is_found_and_other_photos_are_not(awkward: Path, alter) -> None:
    originals = {f"a/{seed}.png": picture(seed) for seed in range(12)}
    copies = {f"b/{seed} copia.png": alter(picture(seed)) for seed in range(0, 12, 3)}
    root = folders(awkward / "fotos", originals | copies)
    found = names(root, find_duplicates(open_dataset(root)))
    assert found == {(f"a/{seed}.png", f"b/{seed} copia.png", True) for seed in range(0, 12, 3)}


def test_the_same_file_is_told_from_the_same_picture(awkward: Path) -> None:
    root = folders(awkward / "fotos", {"a/1.png": picture(1), "a/2.bmp": picture(1), "b/3.png": picture(3)})
    for name in ("b/again.png", "b/other ending.jpg"):
        (root / name).write_bytes((root / "a/1.png").read_bytes())
    found = names(root, find_duplicates(open_dataset(root)))
    assert found == {
        ("a/1.png", "b/again.png", False),
        ("a/1.png", "b/other ending.jpg", False),
        ("a/1.png", "a/2.bmp", True),
    }


def test_flat_and_tiny_pictures_are_no_copies_of_each_other(awkward: Path) -> None:
    flat = {f"a/{value}.png": Image.new("RGB", (90, 90), (value, value, value)) for value in (0, 90, 200)}
    tiny = {f"b/{seed}.png": picture(0).resize((28, 28 + seed)) for seed in range(3)}
    root = folders(awkward / "fotos", flat | tiny)
    assert find_duplicates(open_dataset(root)) == ()


def test_unreadable_photos_are_skipped(awkward: Path) -> None:
    root = folders(awkward / "fotos", {"a/1.png": picture(1), "b/1.png": picture(1)})
    for name in ("a/2.png", "b/2.png"):
        (root / name).write_bytes((root / "a/1.png").read_bytes()[:200])
    found = compute_fingerprints(open_dataset(root))
    assert found.short_sides.tolist() == [180, 0, 180, 0]
    assert names(root, find_duplicates(open_dataset(root))) == {("a/1.png", "b/1.png", False)}


def test_a_second_search_decodes_nothing(awkward: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "own"))
    root = folders(awkward / "fotos", {f"a/{seed}.png": picture(seed) for seed in range(3)} | {"b/x.png": picture(2)})
    before = find_duplicates(open_dataset(root))
    assert [pair.is_near_duplicate for pair in before] == [False]
    monkeypatch.setattr(images, "decode_image", lambda *_arguments: pytest.fail("an image was decoded again"))
    assert find_duplicates(open_dataset(root)) == before
    for shard in (tmp_path / "own" / "looks").iterdir():
        shard.write_bytes(shard.read_bytes()[:-9])
    monkeypatch.undo()
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "own"))
    assert find_duplicates(open_dataset(root)) == before


def test_large_sets_are_compared_by_quarters_of_their_hashes(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = {f"a/{seed}.png": picture(seed) for seed in range(8)} | {"b/x.png": ALTERED["darker"](picture(5))}
    root = folders(awkward / "fotos", pictures)
    monkeypatch.setattr(search, "_MAX_EXHAUSTIVE", 1)
    assert names(root, find_duplicates(open_dataset(root))) == {("a/5.png", "b/x.png", True)}


def test_a_hash_follows_its_mirror_image() -> None:
    thumbs = np.stack([np.asarray(picture(seed).convert("L").resize((64, 64))) for seed in range(20)])
    turned = compute_perceptual_hashes(np.ascontiguousarray(thumbs[:, :, ::-1])) ^ search._MIRROR_BITS
    assert int(compute_hamming_distances(compute_perceptual_hashes(thumbs), turned).max()) <= 1
    assert (
        int(
            compute_hamming_distances(
                compute_perceptual_hashes(thumbs)[:, None], compute_perceptual_hashes(thumbs)[None]
            )[np.triu_indices(20, 1)].min()
        )
        > 14
    )


def test_similarity_is_structural_similarity() -> None:
    one, other = (np.asarray(picture(seed).convert("L").resize((64, 64))) for seed in (1, 2))
    assert compute_similarity(one, one) == pytest.approx(1)
    assert compute_similarity(one, (one // 2 + 60).astype(np.uint8)) > 0.95
    assert compute_similarity(one, other) < 0.3
    assert compute_similarity(np.zeros((64, 64), np.uint8), one) < 0.3


def test_real_photos(shared: Path) -> None:
    dataset = open_dataset(shared / "data" / "raccoon", format="voc")
    pairs = find_duplicates(dataset)
    exact = {
        (dataset.images.get_name(pair.first), dataset.images.get_name(pair.second))
        for pair in pairs
        if not pair.is_near_duplicate
    }
    assert len(exact) == 4
    assert ("images/raccoon-52.jpg", "images/raccoon-74.jpg") in {
        (dataset.images.get_name(pair.first), dataset.images.get_name(pair.second)) for pair in pairs
    }


def test_equal_frames_of_a_still_video_are_not_compared_pairwise(
    awkward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = np.asarray(picture(3)).astype(int)
    noise = np.random.default_rng(0)
    frames = {
        f"a/{i:03}.png": Image.fromarray(np.clip(scene + noise.integers(-9, 9, scene.shape), 0, 255).astype(np.uint8))
        for i in range(60)
    }
    asked = []
    monkeypatch.setattr(
        search, "compute_similarity", lambda one, other: asked.append(1) or compute_similarity(one, other)
    )
    pairs = find_duplicates(open_dataset(folders(awkward / "film", frames | {"b/x.png": picture(4)}), format="folders"))
    assert len(pairs) == len(asked) == 59
