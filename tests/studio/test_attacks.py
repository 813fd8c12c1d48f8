"""Attacks on the studio: each is stopped, and gets through where the guard against it is taken out."""

from __future__ import annotations

import io
import logging
import struct
import threading
import time
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient
from tests.support.studio_client import (
    HOST,
    PASSWORD,
    make_photo,
    open_client,
    open_team,
    send_file,
    sign_in,
    upload,
)

from lince import images
from lince.errors import DataError
from lince.storage import zip as zip_module
from lince.studio import (
    folder_list,
    guard,
    packed_intake,
    passwords,
    people_book,
    photo_intake,
    roles,
    studio_state,
    upload_store,
)
from lince.studio.guess_limit import GuessLimit
from lince.studio.routes import pages, photos
from lince.studio.sessions import Sessions

pytestmark = pytest.mark.filterwarnings("ignore:Setting per-request cookies:DeprecationWarning")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
Attack = Callable[[TestClient, Path, pytest.MonkeyPatch], bool]
Hole = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with open_client(tmp_path / "project") as one:
        yield one


def ask_by_foreign_name(client: TestClient, _folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    """DNS rebinding: a page of evil.example, whose name now points at this machine, reads the project."""
    return client.get("/api/project", headers={"Host": "evil.example:8765"}).status_code == 200


def post_from_foreign_page(client: TestClient, _folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    headers = {"Origin": "https://evil.example", "Content-Type": "application/json"}
    return client.post("/api/task", json={"task": "detection"}, headers=headers).status_code == 200


def post_a_form(client: TestClient, _folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    """CSRF: a form of another site, in a browser that sends no Origin; its text is JSON."""
    headers = {"Content-Type": "text/plain"}
    return client.post("/api/task", content='{"task":"detection"}', headers=headers).status_code != 415


def post_cross_site(client: TestClient, _folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    headers = {"Sec-Fetch-Site": "cross-site"}
    return client.post("/api/task", json={"task": "detection"}, headers=headers).status_code == 200


def read_beyond_the_page(client: TestClient, _folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    names = ("..%2fsessions.py", "%2e%2e/sessions.py", "vendor/..%2f..%2fsessions.py", "..%5csessions.py")
    answers = [client.get(f"/page/{name}") for name in names]
    return any("Sessions" in answer.text for answer in answers)


def slip_out_of_an_archive(client: TestClient, folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../slipped.jpg", make_photo())
    client.post(f"/api/uploads/{send_file(client, stream.getvalue())}/zip", json={"name": "evil.zip"})
    return any(folder.rglob("slipped.jpg"))


def fill_the_memory(client: TestClient, _folder: Path, patch: pytest.MonkeyPatch) -> bool:
    """A zip bomb: 40 MB of zeros in 40 kB; the allowance of 1 GiB is lowered, so that the test stays small."""
    patch.setattr(zip_module, "_EXPANSION_ALLOWANCE", 2**20)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.jpg", bytes(40_000_000))
    number = send_file(client, stream.getvalue(), 100_000)
    return client.post(f"/api/uploads/{number}/zip", json={"name": "bomb.zip"}).status_code == 200


def add_a_pixel_bomb(client: TestClient, _folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    """A PNG of a few bytes that says it has 3.6 gigapixels."""

    def make_chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + make_chunk(b"IHDR", header) + make_chunk(b"IDAT", b"") + make_chunk(b"IEND", b"")
    return bool(upload(client, "bomb.png", data)["added"])


def send_too_much(client: TestClient, _folder: Path, patch: pytest.MonkeyPatch) -> bool:
    """A body without a length that never ends; the limit is lowered, so that the test stays small."""
    patch.setattr(guard, "MAX_REQUEST_BYTES", 10_000)
    headers = {"Content-Type": "application/octet-stream"}
    pieces = (bytes(1000) for _number in range(30))
    return client.post("/api/photos", params={"name": "a.jpg"}, content=pieces, headers=headers).status_code != 413


def read_the_token_in_logs(client: TestClient, _folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    lines: list[str] = []
    handler = logging.Handler()
    # What the test's own client logs is not the studio's.
    handler.addFilter(lambda record: not record.name.startswith("http"))
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        client.get("/", params={"token": client.sessions.token}, follow_redirects=False)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert lines
    return client.sessions.token in "".join(lines) + repr(client.sessions)


def use_a_made_up_cookie(client: TestClient, _folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    client.cookies.clear()
    cookie = f"{client.sessions.cookie_name}={b'ana'.hex()}.0123.{'0' * 64}"
    return client.get("/api/project", headers={"Cookie": cookie}).status_code == 200


def fix_a_cookie(client: TestClient, _folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    """A cookie that an attacker set before the person came in must not be the one that is let in."""
    client.cookies.clear()
    name, fixed = client.sessions.cookie_name, client.sessions.make_cookie()
    answer = client.get(
        "/", params={"token": client.sessions.token}, headers={"Cookie": f"{name}={fixed}"}, follow_redirects=False
    )
    return fixed in answer.headers["set-cookie"]


def upload_a_drawing_with_a_script(client: TestClient, _folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    return bool(upload(client, "drawing.png", SVG)["added"])


def show_a_photo_as_a_page(client: TestClient, _folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    """Whether a photo that is opened as a page could run a script, whatever it holds."""
    upload(client, "a.jpg", make_photo())
    headers = client.get("/image/1").headers
    return "sandbox" not in headers["content-security-policy"] or headers["x-content-type-options"] != "nosniff"


def list_folders_elsewhere(client: TestClient, folder: Path, patch: pytest.MonkeyPatch) -> bool:
    home = folder / "home"
    (home / "pictures").mkdir(parents=True)
    (folder / "secret").mkdir()
    (home / "way").symlink_to(folder / "secret")
    patch.setenv("HOME", str(home))
    patch.setenv("USERPROFILE", str(home))
    listed = client.get("/api/folders").json()
    assert [one["name"] for one in listed["folders"]][:1] == ["pictures"]
    paths = (folder / "secret", home / "way", home / ".." / "secret", Path("/"))
    return any(client.get("/api/folders", params={"path": str(path)}).status_code == 200 for path in paths)


def write_to_a_path_as_upload(client: TestClient, folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    (folder / "project" / "cache" / "uploads").mkdir(parents=True, exist_ok=True)
    target = folder / "project" / "victim"
    target.write_bytes(b"untouched")
    studio: studio_state.StudioState = client.app.state.studio
    studio.uploads._sizes["../../victim"] = 100
    headers = {"Content-Type": "application/octet-stream"}
    for name in ("..%2f..%2fvictim", "%2e%2e/%2e%2e/victim"):
        client.post(f"/api/uploads/{name}", params={"offset": 0}, content=b"overwritten", headers=headers)
    with suppress(DataError):
        studio.uploads.append("../../victim", 0, b"overwritten")
    return target.read_bytes() != b"untouched"


def name_a_path_from_elsewhere(_client: TestClient, folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    (folder / "photos").mkdir()
    (folder / "photos" / "a.jpg").write_bytes(make_photo())
    with open_client(folder / "other", address="192.0.2.7") as remote:
        answer = remote.post("/api/photos/link", json={"folder": str(folder / "photos")})
        return answer.status_code == 200


def ask_without_a_cookie(client: TestClient, _folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    client.cookies.clear()
    addresses = (
        "/api/project",
        "/api/photos?ids=1",
        "/api/photos/ids",
        "/image/1",
        "/thumb/1",
        "/api/journal",
    )
    return any(client.get(address).status_code == 200 for address in addresses)


def guess_a_password(_client: TestClient, folder: Path, patch: pytest.MonkeyPatch) -> bool:
    """Words of a dictionary, one after the other; the last one is right."""
    patch.setattr(people_book, "is_password", lambda _hashed, given: given == PASSWORD)  # as fast as can be
    with open_team(folder / "team") as team:
        return 200 in [sign_in(team, "ana", word) for word in (*map(str, range(20)), PASSWORD)]


def read_a_password_in_logs(_client: TestClient, folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("lince")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with open_team(folder / "team") as team:
            sign_in(team, "ana")
            bodies = ({"name": "ana", "password": [PASSWORD]}, {"name": PASSWORD * 10, "password": PASSWORD})
            answers = [team.post("/api/enter", json=body).text for body in bodies]
            shown = repr(team.sessions.people.read())
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert lines
    return PASSWORD in "".join([*lines, *answers, shown])


def keep_a_cookie_after_the_password_changed(_client: TestClient, folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    with open_team(folder / "team") as team:
        sign_in(team, "ana")
        stolen = dict(team.cookies)
        team.post("/api/me/password", json={"old": PASSWORD, "new": PASSWORD + "!"})
        team.cookies = stolen
        return team.get("/api/project").status_code == 200


def give_oneself_a_role(_client: TestClient, folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    with open_team(folder / "team") as team:
        sign_in(team, "leo")
        team.post("/api/people", json={"name": "leo", "role": "owner"})
        sign_in(team, "leo")
        return team.get("/api/project").json()["role"] == "owner"


def save_under_another_name(_client: TestClient, folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    with open_team(folder / "team") as team:
        sign_in(team, "rui")
        answer = team.post("/api/edits", json={"edits": []}, headers={"X-Lince-Person": "ana"})
        return answer.status_code == 200


def ask_a_team_by_foreign_name(_client: TestClient, folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    with open_team(folder / "team") as team:
        return team.get("/healthz", headers={"Host": "evil.example:8765"}).status_code == 200


def name_a_path_through_a_proxy(client: TestClient, folder: Path, _patch: pytest.MonkeyPatch) -> bool:
    """A proxy on the same machine: its requests come from 127.0.0.1, those who send them do not."""
    (folder / "photos").mkdir()
    (folder / "photos" / "a.jpg").write_bytes(make_photo())
    headers = {"X-Forwarded-For": "192.0.2.7"}
    answer = client.post("/api/photos/link", json={"folder": str(folder / "photos")}, headers=headers)
    return answer.status_code == 200


def fill_the_memory_by_guesses(_client: TestClient, _folder: Path, patch: pytest.MonkeyPatch) -> bool:
    """Each guess takes 32 MiB; forty at once would take more than a gigabyte."""
    running, most, lock = [0], [0], threading.Lock()

    def compute(*_args: object, **_named: object) -> bytes:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        return bytes(32)

    patch.setattr(passwords.hashlib, "scrypt", compute)
    threads = [threading.Thread(target=passwords.is_password, args=("", "x")) for _number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most[0] > 1


class NaiveZip:
    """What a reader without rules would make of an archive."""

    def __init__(self, _root: Path, source: zip_module.LocalFile) -> None:
        self.archive = zipfile.ZipFile(source.path)
        self.names = tuple(self.archive.namelist())

    def read(self, name: str, _max_bytes: int) -> bytes:
        return self.archive.read(name)


def write_anywhere(folder: Path, name: str, data: bytes) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return name


def read_any_file() -> SimpleNamespace:
    root = Path(pages.__file__).parents[1] / "page"
    return SimpleNamespace(get=lambda name: (root / name).read_bytes() if (root / name).is_file() else None)


def let_any_file_be_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pages, "_assets", read_any_file)
    patch.setattr(pages, "_MEDIA_TYPES", defaultdict(lambda: "text/plain"))


def let_zip_slip(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(packed_intake, "ZipTree", NaiveZip)
    patch.setattr(photo_intake, "clean_name", lambda name: name)
    patch.setattr(photo_intake, "_write_new", write_anywhere)


def let_everybody_in(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(guard, "_OPEN_PREFIXES", ("/",))
    patch.setattr(roles, "has_role", lambda *_args: True)


def let_any_cookie_in(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sessions, "find_person", lambda _self, cookie: bytes.fromhex(cookie.partition(".")[0]).decode())


ATTACKS: dict[Attack, Hole] = {
    ask_by_foreign_name: lambda patch: patch.setattr(guard, "is_allowed_host", lambda *_args, **_named: True),
    post_from_foreign_page: lambda patch: patch.setattr(guard, "is_allowed_origin", lambda *_args: True),
    post_a_form: lambda patch: patch.setattr(guard, "_check_body", lambda _headers: None),
    post_cross_site: lambda patch: patch.setattr(guard, "_UNSAFE_METHODS", ()),
    read_beyond_the_page: let_any_file_be_read,
    slip_out_of_an_archive: let_zip_slip,
    fill_the_memory: lambda patch: patch.setattr(zip_module, "_check_safety", lambda *_args: None),
    add_a_pixel_bomb: lambda patch: patch.setattr(images, "check_pixel_count", lambda *_args: None),
    send_too_much: lambda patch: patch.setattr(guard, "_bound_body", lambda receive: receive),
    read_the_token_in_logs: lambda patch: patch.setattr(
        guard, "_name_route", lambda scope: scope["query_string"].decode()
    ),
    use_a_made_up_cookie: let_any_cookie_in,
    fix_a_cookie: lambda patch: patch.setattr(Sessions, "make_cookie", lambda _self: "always-the-same"),
    upload_a_drawing_with_a_script: lambda patch: patch.setattr(
        photo_intake, "_measure", lambda _data, root, path, _shown: {**ROW, "root": root, "path": path}
    ),
    show_a_photo_as_a_page: lambda patch: patch.setattr(photos, "_ALONE", {}),
    list_folders_elsewhere: lambda patch: patch.setattr(folder_list, "_is_below", lambda *_args: True),
    write_to_a_path_as_upload: lambda patch: patch.setattr(
        upload_store, "_ID", SimpleNamespace(fullmatch=lambda _name: True)
    ),
    name_a_path_from_elsewhere: lambda patch: patch.setattr(studio_state, "require_local", lambda _request: None),
    ask_without_a_cookie: let_everybody_in,
    guess_a_password: lambda patch: patch.setattr(GuessLimit, "take", lambda *_args: None),
    read_a_password_in_logs: lambda patch: patch.setattr(
        guard, "_name_route", lambda scope: scope["headers"] and PASSWORD
    ),
    keep_a_cookie_after_the_password_changed: lambda patch: patch.setattr(Sessions, "_find_hash", lambda *_args: ""),
    give_oneself_a_role: lambda patch: patch.setattr(roles, "has_role", lambda *_args: True),
    save_under_another_name: lambda patch: patch.setattr(guard, "_PERSON_HEADER", "x-nothing"),
    ask_a_team_by_foreign_name: lambda patch: patch.setattr(guard, "is_allowed_host", lambda *_args, **_named: True),
    name_a_path_through_a_proxy: lambda patch: patch.setattr(studio_state, "_PROXY_HEADERS", ()),
    fill_the_memory_by_guesses: lambda patch: patch.setattr(passwords, "_one_at_a_time", nullcontext()),
}
ROW = {"digest": "0" * 32, "width": 1, "height": 1, "orientation": 1, "bytes": 1, "added": "2026-01-01T00:00:00+00:00"}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_is_stopped(attack: Attack, client: TestClient, tmp_path: Path, monkeypatch) -> None:
    assert not attack(client, tmp_path, monkeypatch)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_it_gets_through_where_its_guard_is_taken_out(
    attack: Attack, client: TestClient, tmp_path: Path, monkeypatch
) -> None:
    ATTACKS[attack](monkeypatch)
    assert attack(client, tmp_path, monkeypatch)


def test_every_address_but_the_page_needs_the_cookie(client: TestClient) -> None:
    client.cookies.clear()
    table = roles.list_route_roles(client.app)
    assert len(table) > 40
    for (method, path), role in table.items():
        if role != roles.ANYBODY:
            address = path.replace("{photo_id}", "1").replace("{class_id}", "1").replace("{number}", "1")
            answer = client.request(method, address, json={} if method == "POST" else None)
            assert answer.status_code == 401, (method, path)


def test_the_cookie_is_for_this_site_and_no_script(client: TestClient) -> None:
    answer = client.get("/", params={"token": client.sessions.token}, follow_redirects=False)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert answer.headers["location"] == "./"
    assert client.get("/", params={"token": "wrong"}, follow_redirects=False).status_code == 401


def test_the_host_of_the_test_is_allowed(client: TestClient) -> None:
    assert client.get("/api/project", headers={"Host": HOST}).status_code == 200
