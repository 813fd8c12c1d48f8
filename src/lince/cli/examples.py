"""Examples at the end of the help of each command; a test gives each of them to the parser."""

from __future__ import annotations

from lince.i18n import _

EXAMPLES = {
    "demo": ("lince demo", "lince demo --out runs/digits"),
    "studio": ("lince studio", "lince studio farm --photos ~/Pictures/farm"),
    "check": (
        "lince check photos",
        "lince check photos --labels --out photos.html",
        "lince check photos.zip --fix clip,order",
    ),
    "show": ("lince show photos", "lince show photos --count 60 --out labels.jpg"),
    "convert": (
        "lince convert photos photos-coco --to coco",
        "lince convert monday tuesday both --to yolo",
        "lince convert photos one-pet --to voc --merge pet=cat,dog --lossy",
    ),
    "split": ("lince split photos", "lince split photos --val 0.15 --test 0.15", "lince split photos --folds 5"),
    "train": (
        "lince train photos",
        "lince train photos --recipe all --budget 30m",
        "lince train --resume runs/train",
    ),
    "evaluate": ("lince evaluate runs/train new-photos", "lince evaluate runs/train new-photos --out results"),
    "compare": ("lince compare runs/train runs/train2", "lince compare runs/train runs/train2 --out comparison.html"),
    "predict": (
        "lince predict runs/train photo.jpg",
        "lince predict runs/train new-photos --save --csv answers.csv",
        "lince predict runs/train video.mp4 --track --every 5",
    ),
    "similar": (
        "lince similar runs/train photo.jpg photos",
        "lince similar runs/train photo.jpg photos --top 20 --save similar.jpg",
    ),
    "export": (
        "lince export runs/train",
        "lince export runs/train --to openvino --int8",
        "lince export runs/train --self-contained --out flowers",
    ),
    "serve": ("lince serve runs/train --open", "lince serve flowers=runs/train hats=runs/train2 --port 8080"),
    "augment": ("lince augment photos", "lince augment photos --augment 'rotation 15, zoom 0.1' --out copies.png"),
    "models": ("lince models", "lince models --task detect --measure", "lince models small"),
    "doctor": ("lince doctor", "lince doctor --model runs/train"),
    "completion": (
        "lince completion bash >> ~/.bashrc",
        "lince completion zsh >> ~/.zshrc",
        "lince completion fish > ~/.config/fish/completions/lince.fish",
        "lince completion powershell >> $PROFILE",
    ),
}


def format_examples(command: str) -> str:
    """Return the examples of ``command``, each on a line of its own below a title."""
    return "\n  ".join((_("examples:"), *EXAMPLES[command]))
