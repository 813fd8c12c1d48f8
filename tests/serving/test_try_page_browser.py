"""Try page in Chromium: photos chosen, dropped, pasted, taken and drawn; results and corrections."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.support import digit_model, tagging_program, tiny_classifier, tiny_detector, tiny_multilabel
from tests.support.browser import CHROMIUM, Page, browser
from tests.support.handwritten_digits import first_of_each, strokes
from tests.support.server_process import Running, server

import lince
from lince import images
from lince.i18n import use_language
from lince.model_card import ModelCard
from lince.serving.digit_image import MNIST
from lince.serving.routes import try_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
HOSTILE = "<img src=x onerror=alert(1)>"
SAID = "document.getElementById('summary').textContent"
# Records every model response with the number of strokes sent before it.
HEAR = """window.heard = []; window.real ??= window.fetch; window.fetch = async (path, given) => {
  if (path.includes('drawing')) window.sent = JSON.parse(given.body).strokes.length;
  const answer = await real(path, given);
  if (path.includes('predict')) heard.push({strokes: window.sent, answer: await answer.clone().json()});
  return answer}; 0"""
SEVEN = [(0.2, 0.2), (0.5, 0.18), (0.8, 0.2), (0.7, 0.4), (0.55, 0.6), (0.45, 0.9)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("niño ç")
    tiny_classifier.model_folder(folder / "colours")
    tiny_detector.model_folder(folder / "squares")
    tiny_multilabel.model_folder(folder / "several")
    digit_model.model_folder(folder / "digits", digit_model.weights(32))
    tiny_classifier.model_folder(
        folder / "hostile", (HOSTILE, "green", "a class with quite a long name of its own to be wrapped")
    )
    (folder / "red.png").write_bytes(images.encode_png(tiny_classifier.photo("red")))
    (folder / "green.png").write_bytes(images.encode_png(tiny_classifier.photo("green", seed=1)))
    (folder / "yellow.png").write_bytes(images.encode_png(tiny_multilabel.photo("red", "green")))
    (folder / "black.png").write_bytes(images.encode_png(tiny_multilabel.photo()))
    (folder / "squares.png").write_bytes(images.encode_png(tiny_detector.scene([(0, 1, 1), (1, 5, 5)], 256, 256)))
    (folder / "text.png").write_bytes(b"this is no image")
    sideways = Image.Exif()
    sideways[0x0112] = 6
    Image.fromarray(tiny_classifier.photo("blue", 40, 80)).save(folder / "sideways.jpg", exif=sideways, quality=95)
    return folder


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Running]:
    names = ("colours", "squares", "digits", "hostile", "several")
    with server(*(folder / name for name in names), "--corrections", folder / "kept") as one:
        yield one


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser"), "--use-fake-ui-for-media-stream") as page:
        yield page


@pytest.fixture
def page(shown: Page, running: Running) -> Iterator[Page]:
    """Return the opened page; at the end, require no requests elsewhere and an empty console."""
    shown.window(1100, 850)
    shown.addresses.clear()
    shown.console.clear()
    opened(shown, running.url + "/?lang=en")
    yield shown
    assert {urlsplit(address).netloc for address in shown.addresses} == {urlsplit(running.url).netloc}
    assert shown.console == []


def opened(page: Page, url: str) -> None:
    page.open(url)
    page.until("document.querySelector('#facts tr') !== null")


def ask(page: Page, model: str) -> None:
    page.fill("#model", model)


def said(page: Page, start: str) -> str:
    return str(page.until(f"{SAID}.startsWith({start!r}) && {SAID}"))


def test_a_chosen_photo_is_answered_with_bars(page: Page, folder: Path) -> None:
    page.choose("#file", folder / "red.png")
    assert said(page, "red · ").endswith("%")
    assert page.run("[...document.querySelectorAll('#bars .name')].map(e => e.textContent)")[0] == "red"
    assert page.run("document.getElementById('strip').children.length") == 0
    page.choose("#file", folder / "green.png", folder / "red.png")
    page.until("document.getElementById('strip').children.length === 3")
    said(page, "red · ")
    page.click("#strip li:nth-child(2) button")  # newest first
    said(page, "green · ")


def test_a_photo_lies_upright_and_its_answer_is_the_servers(page: Page, folder: Path, running: Running) -> None:
    page.run(HEAR)
    page.choose("#file", folder / "sideways.jpg")
    said(page, "blue · ")
    _left, _top, width, height = page.place("#picture")
    assert height > width * 1.9
    sent = (folder / "sideways.jpg").read_bytes()
    told = httpx.post(f"{running.url}/v1/predict?model=colours", content=sent, trust_env=False).json()
    assert page.run("heard[0].answer") == told


@pytest.mark.parametrize(("event", "holder"), [("drop", "dataTransfer"), ("paste", "clipboardData")])
def test_a_photo_can_be_dropped_and_pasted(page: Page, folder: Path, event: str, holder: str) -> None:
    data = base64.b64encode((folder / "green.png").read_bytes()).decode()
    kind = "DragEvent" if event == "drop" else "ClipboardEvent"
    page.run(
        f"""(() => {{
        const bytes = Uint8Array.from(atob('{data}'), (sign) => sign.charCodeAt(0));
        const held = new DataTransfer(); held.items.add(new File([bytes], 'a.png', {{type: 'image/png'}}));
        document.body.dispatchEvent(new {kind}('{event}', {{{holder}: held, bubbles: true, cancelable: true}}))}})()"""
    )
    said(page, "green · ")


def test_boxes_are_drawn_and_the_slider_shows_more_and_fewer(page: Page, folder: Path) -> None:
    ask(page, "squares")
    page.choose("#file", folder / "squares.png")
    page.until("document.querySelectorAll('#object-list li').length > 0")
    first = page.run("document.querySelectorAll('#object-list li').length")
    colours = page.run(
        """(() => {const c = document.getElementById('picture');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const seen = new Set(); for (let i = 0; i < d.length; i += 4) seen.add([d[i], d[i+1], d[i+2]].join());
        return [...seen]})()"""
    )
    assert {"230,120,0", "0,114,178"} <= set(colours)  # one per class
    page.run(
        "(() => {const e = document.getElementById('threshold'); e.value = 1; e.dispatchEvent(new Event('input'))})()"
    )
    assert page.run("document.querySelectorAll('#object-list li').length") == 0
    assert page.run(SAID) == "No objects were found."
    page.click("#threshold-default")
    assert page.run("document.querySelectorAll('#object-list li').length") == first


@pytest.mark.parametrize("pointer", ["mouse", "pen", "touch"])
def test_a_drawing_is_answered_as_the_picture_of_it_is(page: Page, running: Running, pointer: str) -> None:
    ask(page, "digits")
    page.run(HEAR)
    page.stroke("#pad", SEVEN, pointer)
    page.until("heard.length > 0 && !document.getElementById('class-probabilities').hidden")
    grey = page.run(
        "[...document.getElementById('model-view-canvas').getContext('2d').getImageData(0, 0, 28, 28).data]"
        ".filter((_, i) => i % 4 === 0)"
    )
    picture = np.repeat(np.array(grey, np.uint8).reshape(28, 28, 1), 3, axis=2)
    assert 20 < np.count_nonzero(picture[:, :, 0]) < 300
    png = images.encode_png(picture)
    told = httpx.post(f"{running.url}/v1/predict?model=digits", content=png, trust_env=False).json()["predictions"][0]
    shown = page.run("heard.at(-1).answer")["predictions"][0]
    assert [one["name"] for one in shown["classes"]] == [one["name"] for one in told["classes"]]
    for one, other in zip(shown["classes"], told["classes"], strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-6)
    page.click("#undo")
    page.until(f"{SAID} === 'The answer appears here.'")


def test_a_digit_can_be_drawn_and_all_be_reached_by_keyboard(page: Page) -> None:
    ask(page, "digits")
    order = []
    for _step in range(14):
        page.key("Tab")
        order.append(
            page.run("document.activeElement.id || document.activeElement.name || document.activeElement.tagName")
        )
    assert [name for name in order if name in ("model", "mode", "pad")] == ["model", "mode", "pad"]
    page.run("document.getElementById('pad').focus()")
    page.key(" ", " ")
    for name in ["ArrowDown"] * 6 + ["ArrowRight"] * 3:
        page.key(name)
    page.key(" ", " ")
    page.until(f"/^\\d · /.test({SAID})")
    assert page.run("getComputedStyle(document.getElementById('pad')).outlineStyle") == "solid"
    page.key("Backspace")
    page.until(f"{SAID} === 'The answer appears here.'")


@pytest.mark.parametrize("code", ["en", "es", "pt"])
def test_the_page_has_three_languages_and_fits_a_small_screen(
    page: Page, running: Running, folder: Path, code: str
) -> None:
    page.window(360, 780, dark=code == "pt", dots=2)
    opened(page, f"{running.url}/?lang={code}")
    assert page.run("document.documentElement.lang") == code
    with use_language(code):
        assert (
            page.run("JSON.parse(document.getElementById('page-data').textContent).texts")
            == try_page.translate_script_texts()
        )
    back = page.run("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(18, 22, 28)") is (code == "pt")
    wide = "document.documentElement.scrollWidth"
    assert page.run(wide) <= 360
    for model, name in (
        ("colours", "red.png"),
        ("hostile", "green.png"),
        ("several", "yellow.png"),
        ("squares", "squares.png"),
    ):
        ask(page, model)
        page.choose("#file", folder / name)
        page.until(f"document.getElementById('picture').getAttribute('aria-label') === {name!r}")  # not the last one
        page.until("!document.body.classList.contains('waiting') && !document.getElementById('correction').hidden")
        page.run("document.getElementById('correction').open = true")
        page.until("document.getElementById('correction').open")
        assert page.run(wide) <= 360, model
    ask(page, "digits")
    assert page.run(wide) <= 360


def test_names_of_classes_are_texts_whatever_they_hold(page: Page, folder: Path) -> None:
    ask(page, "hostile")
    page.choose("#file", folder / "green.png")
    said(page, "green · ")
    assert HOSTILE in page.text()
    assert page.run("document.querySelector('main img')") is None


def test_what_goes_wrong_is_said_and_can_be_tried_again(shown: Page, running: Running, folder: Path) -> None:
    shown.window(1100, 850)
    opened(shown, running.url + "/?lang=en")
    shown.choose("#file", folder / "text.png")
    shown.until("document.getElementById('error').innerText.includes('not an image')")
    real = "window.real ??= window.fetch; window.fetch = "
    shown.run(real + "async () => new Response('{}', {status: 429, headers: {'Retry-After': '7'}}); 0")
    shown.choose("#file", folder / "red.png")
    shown.until("document.getElementById('error').innerText.includes('Try again in 7 s')")
    shown.run(real + "async () => {throw new TypeError('Failed to fetch')}; 0")
    shown.click("#retry")
    shown.until("document.getElementById('error').innerText.includes('cannot be reached')")
    shown.run(real + "window.real; 0")
    shown.click("#retry")
    said(shown, "red · ")
    assert shown.run("document.getElementById('error').hidden")


def test_the_camera_takes_a_photo(page: Page) -> None:
    page.click("#use-camera")
    page.until("document.getElementById('camera').open && document.querySelector('video').videoWidth > 0")
    page.click("#take-photo")
    page.until(f"/ · [\\d.]+%$/.test({SAID})")
    assert not page.run("document.getElementById('camera').open")


def test_a_camera_that_is_refused_or_absent_is_said(page: Page) -> None:
    for name, words in (("NotAllowedError", "Camera access was denied"), ("NotFoundError", "No camera was found")):
        page.run(f"navigator.mediaDevices.getUserMedia = async () => {{throw new DOMException('', '{name}')}}; 0")
        page.click("#use-camera")
        page.until(f"document.getElementById('error').innerText.includes('{words}')")


def test_a_wrong_class_is_corrected_and_the_photo_kept(page: Page, folder: Path) -> None:
    page.choose("#file", folder / "red.png")
    said(page, "red · ")
    for label, answer in (("green", "Saved"), ("green", "It was already saved"), ("blue", "Saved")):
        page.run("document.getElementById('correction').open = true")
        page.run(f"document.getElementById('label').value = '{label}'")
        page.run("document.getElementById('correction-status').textContent = ''")
        page.click("#save-correction")
        page.until(f"document.getElementById('correction-status').textContent.startsWith('{answer}')")
    [kept] = (folder / "kept" / "colours").rglob("*.png")
    assert kept.parent.name == "blue"  # the last correction counts
    assert kept.read_bytes() == (folder / "red.png").read_bytes()


def test_several_classes_are_said_with_their_thresholds(page: Page, folder: Path) -> None:
    ask(page, "several")
    page.choose("#file", folder / "yellow.png")
    page.until(f"{SAID}.includes('red') && {SAID}.includes('green')")
    assert "blue" not in page.run(SAID)
    bars = page.run("[...document.querySelectorAll('#bars li')].map(e => [e.className, e.innerText])")
    assert [name for name, _text in bars] == ["said", "said", ""]
    assert "(from 50%)" in bars[2][1]
    assert {text.split("\n")[0] for _name, text in bars} == {"✓ red", "✓ green", "blue"}
    marks = page.run("[...document.querySelectorAll('#bars .mark')].map(e => e.style.left)")
    assert sorted(marks) == ["25%", "50%", "75%"]
    page.choose("#file", folder / "black.png")
    said(page, "no class")
    ask(page, "colours")  # the bars are those of a classifier again
    page.until("document.querySelectorAll('#bars .mark').length === 0")


def test_all_bars_are_shown_and_hidden_by_one_button_of_both_tasks(shown: Page, folder: Path, tmp_path: Path) -> None:
    shown.window(1100, 850)
    digit_model.model_folder(tmp_path / "digits", digit_model.weights(32))
    card = ModelCard.load(tmp_path / "digits")
    replace(card, task="multilabel", thresholds=(0.5,) * len(card.classes)).save(tmp_path / "digits")
    with server(tmp_path / "digits") as one:
        opened(shown, one.url + "/?lang=en")
        shown.choose("#file", folder / "black.png")
        shown.until("document.querySelectorAll('#bars li').length > 4")
        count = shown.run("document.querySelectorAll('#bars li').length")
        shown.click("#toggle-classes")
        shown.until("document.querySelectorAll('#bars li').length === 10")
        shown.click("#toggle-classes")
        shown.until(f"document.querySelectorAll('#bars li').length === {count}")


def test_several_classes_are_corrected_by_ticks(page: Page, folder: Path) -> None:
    ask(page, "several")
    for photo, ticked in (("yellow.png", {"red", "green"}), ("black.png", set())):
        page.choose("#file", folder / photo)
        page.until(f"{SAID} === 'no class'" if not ticked else f"{SAID}.includes('green')")
        page.run("document.getElementById('correction').open = true")
        boxes = page.run("[...document.querySelectorAll('#label-boxes input')].map(e => [e.value, e.checked])")
        assert {name for name, is_ticked in boxes if is_ticked} == ticked
        page.click("#label-boxes input[value=blue]")
        page.click("#save-correction")
        page.until("document.getElementById('correction-status').textContent.startsWith('Saved')")
    data = lince.open(folder / "kept" / "several")
    assert data.label_sets is not None
    kept = [{data.classes.names[one] for one in data.label_sets.get_class_ids(row)} for row in range(len(data))]
    assert sorted(kept, key=len) == [{"blue"}, {"blue", "green", "red"}]


def test_objects_are_set_right_and_kept_as_yolo(page: Page, folder: Path) -> None:
    ask(page, "squares")
    page.choose("#file", folder / "squares.png")
    page.until("document.querySelectorAll('#object-list li').length === 2")
    page.run("document.getElementById('correction').open = true")
    page.until("document.querySelectorAll('#box-list select').length === 2")
    page.fill("#box-list select", "")
    page.click("#add-box")
    page.until("document.querySelector('#picture.adding') !== null")
    page.stroke("#picture", [(0.25, 0.5), (0.3, 0.6), (0.5, 0.75)])
    page.until("document.querySelectorAll('#box-list select').length === 3")
    page.click("#add-box")  # and one with the keyboard
    page.until("document.activeElement.id === 'picture'")
    page.key("ArrowRight")
    page.key("ArrowDown", shift=True)
    page.key("Enter", "\r")
    page.until("document.querySelectorAll('#box-list select').length === 4")
    page.click("#save-correction")
    page.until("document.getElementById('correction-status').textContent.startsWith('Saved')")
    data = lince.open(folder / "kept" / "squares")
    assert data.format == "yolo"
    assert (len(data), data.rejected, data.classes.names) == (1, (), tiny_detector.NAMES)
    boxes = data.objects.boxes
    assert len(boxes) == 3
    assert min(np.abs(box - [64, 128, 128, 192]).max() for box in boxes) < 1.5


def test_every_renderer_has_the_whole_interface(page: Page) -> None:
    names = page.run(
        """import('/page/tasks.js').then(({renderers, genericRenderer}) =>
        [genericRenderer, ...Object.values(renderers)].map((renderer) => Object.keys(renderer).sort()))"""
    )
    assert {"summarise", "show", "shapes", "correction"} <= set(names[0])
    assert all(listed == names[0] for listed in names)


def test_a_record_of_a_task_without_a_renderer_is_shown_as_json(shown: Page, folder: Path, tmp_path: Path) -> None:
    tagging_program.model_folder(tmp_path / "tags")
    models = (folder / "colours", tmp_path / "tags")
    with server(*models, "--corrections", tmp_path / "kept", program=tagging_program.COMMAND) as one:
        shown.window(360, 780)
        shown.console.clear()
        opened(shown, one.url + "/?lang=en")
        shown.choose("#file", folder / "red.png")
        said(shown, "red · ")
        ask(shown, "tags")
        said(shown, "Result as JSON")
        assert not shown.run("document.getElementById('record-json').hidden")
        record = httpx.post(
            f"{one.url}/v1/predict?model=tags", content=(folder / "red.png").read_bytes(), trust_env=False
        ).json()["predictions"][0]
        assert json.loads(shown.run("document.getElementById('record-json').textContent")) == record
        assert record["class"] == "red"  # the page chooses by the task, not by the record's shape
        for name in ("class-probabilities", "detected-objects", "input-modes", "correction"):
            assert shown.run(f"document.getElementById('{name}').hidden"), name
        assert shown.run("document.documentElement.scrollWidth") <= 360
        ask(shown, "colours")
        said(shown, "red · ")
        assert shown.run("document.getElementById('record-json').hidden")
        assert shown.console == []


def test_behind_a_prefix_and_with_a_token(shown: Page, folder: Path) -> None:
    with server(folder / "colours", "--root-path", "/lince", "--token", "sesame") as one:
        found = httpx.get(f"{one.url}/lince", trust_env=False)
        assert (found.status_code, found.headers["location"]) == (308, "/lince/")
        shown.open(f"{one.url}/lince/?lang=en")
        shown.until("!document.getElementById('token-form').hidden")
        shown.click("#token")
        shown.call("Input.insertText", text="sesame")
        shown.key("Enter", "\r")
        shown.until("document.querySelector('#facts tr') !== null")
        assert shown.run("document.getElementById('model-choice').hidden")
        shown.choose("#file", folder / "red.png")
        said(shown, "red · ")
        assert shown.run("document.getElementById('correction').hidden")  # no corrections folder
        keeping = httpx.post(
            f"{one.url}/lince/v1/corrections", headers={"Authorization": "Bearer sesame"}, trust_env=False
        )
        assert keeping.status_code == 404


def test_a_drawing_is_prepared_anew_when_another_model_is_chosen(shown: Page, folder: Path, tmp_path: Path) -> None:
    digit_model.model_folder(tmp_path / "small", digit_model.weights(32))
    card = ModelCard.load(tmp_path / "small")
    replace(card, drawing=replace(MNIST, width=12, height=12, box=(10.0, 10.0), position=(6.0, 6.0))).save(
        tmp_path / "small"
    )
    side = "document.getElementById('model-view-canvas').width"
    with server(folder / "digits", tmp_path / "small") as one:
        shown.window(1100, 850)
        opened(shown, one.url + "/?lang=en")
        shown.stroke("#pad", SEVEN, "mouse")
        shown.until(f"/^\\d · /.test({SAID})")
        large = shown.run(side)
        ask(shown, "small")
        shown.until(f"{side} !== {large}")
        said(shown, "")
        assert shown.run(side) * 28 == large * 12
        ask(shown, "digits")
        shown.until(f"{side} === {large}")


@pytest.mark.slow
def test_ten_digits_drawn_as_a_person_would_are_read(shared: Path, shown: Page, tmp_path: Path) -> None:
    """Draw the first test digit of each class along its middle line, by mouse, pen and finger in turn."""
    mnist = shared / "data" / "mnist"
    digit_model.model_folder(tmp_path / "digits", digit_model.weights(1000, mnist, 30_000))
    with server(tmp_path / "digits") as one:
        shown.window(390, 844, dots=2)
        opened(shown, one.url + "/?lang=en")
        found = []
        for digit, scanned in first_of_each(mnist).items():
            found.append(drawn(shown, strokes(scanned), ("mouse", "pen", "touch")[digit % 3]))
    assert sum(answer == str(digit) for digit, answer in enumerate(found)) >= 9, found


def drawn(page: Page, lines: list[list[tuple[float, float]]], pointer: str) -> str:
    """Clear the canvas, draw ``lines`` on it, and return the response."""
    page.run("document.getElementById('clear').click()")
    page.until(f"{SAID} === 'The answer appears here.'")
    page.run(HEAR)
    for line in lines:
        page.stroke("#pad", line, pointer)
    page.until(f"heard.at(-1)?.strokes === {len(lines)} && !document.body.classList.contains('waiting')")
    return str(page.run(SAID)).split(" · ")[0]
