"""Finds exact and near-duplicate images: fingerprints, search by perceptual hash, comparison of aligned thumbnails."""
