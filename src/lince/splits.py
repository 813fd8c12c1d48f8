"""The splits of a dataset: their numbers, their names, and the words that label files and folders use for them."""

UNASSIGNED, TRAIN, VAL, TEST = -1, 0, 1, 2
SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}
SPLIT_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VAL,
    "valid": VAL,
    "validation": VAL,
    "dev": VAL,
    "test": TEST,
    "testing": TEST,
}
