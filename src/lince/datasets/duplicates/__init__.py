"""Near-duplicate images: fingerprints, search, and comparison of aligned thumbnails."""
