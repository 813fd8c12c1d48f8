"""People beyond this machine: passwords, roles at every route, sessions that end, guesses that are bounded."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.studio.store_support import make_box, make_id
from tests.support.studio_client import (
    PASSWORD,
    PEOPLE,
    add_classes,
    make_key,
    make_photo,
    open_client,
    open_team,
    sign_in,
    upload,
)
from tests.support.studio_process import ROOT, run_studio

import lince
from lince.errors import DataError, UsageError
from lince.studio import guess_limit, passwords, people_book, roles, sessions
from lince.studio.store.people import ROLES, list_people, remove_person, save_person
from lince.studio.store.project import Project
from lince.studio.studio_settings import StudioSettings

NEW_PASSWORD = "another cow, another moon"
OPEN = {
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/page/words.{language}.json"),
    ("GET", "/page/{name:path}"),
    ("POST", "/api/enter"),
}
OF_OWNERS = {
    ("POST", "/api/task"),
    ("POST", "/api/photos/link"),
    ("POST", "/api/photos/video"),
    ("POST", "/api/photos/sample"),
    ("POST", "/api/import"),
    ("POST", "/api/export"),
    ("GET", "/api/folders"),
    ("GET", "/api/people"),
    ("POST", "/api/people"),
    ("POST", "/api/people/remove"),
}


@pytest.fixture
def team(tmp_path: Path) -> Iterator[TestClient]:
    with open_team(tmp_path / "project") as one:
        yield one


def fill_address(path: str) -> str:
    for name, value in (
        ("photo_id", "1"),
        ("class_id", "0"),
        ("number", "1"),
        ("language", "en"),
        ("name:path", "main.js"),
    ):
        path = path.replace(f"{{{name}}}", value)
    return path


def test_a_password_lets_in_and_a_wrong_one_does_not(team: TestClient) -> None:
    assert team.get("/api/project").json()["error"]["code"] == "sign-in"
    assert sign_in(team, "ana", "the cow jumps over the sun") == 401
    assert sign_in(team, "nobody at all") == 401
    assert sign_in(team, "ANA ") == 200  # capitals and spaces of phones do not matter
    about = team.get("/api/project").json()
    assert (about["person"], about["role"], about["has_passwords"]) == ("ana", "labeller", True)
    assert team.get("/", params={"token": team.sessions.token}, follow_redirects=False).status_code == 401


def test_the_cookie_is_new_each_time_and_for_no_script(team: TestClient) -> None:
    answers = [team.post("/api/enter", json={"name": "ana", "password": PASSWORD}) for _time in range(2)]
    cookies = [answer.headers["set-cookie"] for answer in answers]
    assert cookies[0] != cookies[1]
    assert all("httponly" in cookie.lower() and "samesite=strict" in cookie.lower() for cookie in cookies)
    assert all("secure" not in cookie.lower() for cookie in cookies)
    assert PASSWORD not in "".join(cookies) + answers[0].text


def test_behind_https_the_cookie_goes_over_https_alone(tmp_path: Path) -> None:
    with open_team(tmp_path) as team:
        team.base_url = "https://labels.example.org"
        answer = team.post("/api/enter", json={"name": "ana", "password": PASSWORD})
        assert "secure" in answer.headers["set-cookie"].lower()


def test_every_route_declares_its_role_and_keeps_to_it(team: TestClient) -> None:
    """A table over all routes: nobody without a cookie, and nobody below the declared role, is answered."""
    table = roles.list_route_roles(team.app)
    assert {key for key, role in table.items() if role == roles.ANYBODY} == OPEN
    assert {key for key, role in table.items() if role == "owner"} == OF_OWNERS
    assert len(table) > 40
    team.cookies.clear()
    for (method, path), role in table.items():
        if role != roles.ANYBODY:
            answer = team.request(method, fill_address(path), json={} if method == "POST" else None)
            assert answer.status_code == 401, (method, path)
    for name, own in PEOPLE.items():
        assert sign_in(team, name) == 200
        for (method, path), role in table.items():
            if role == roles.ANYBODY or path in ("/api/leave", "/events"):
                continue
            answer = team.request(method, fill_address(path), json={} if method == "POST" else None)
            is_refused = answer.status_code == 403 and answer.json()["error"]["code"] == "no-role"
            assert is_refused == (ROLES.index(own) < ROLES.index(role)), (name, method, path, answer.text)


def test_a_route_without_a_role_stops_the_start() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.get("/api/secret")(lambda: None)
    with pytest.raises(RuntimeError, match="/api/secret declares no role"):
        roles.list_route_roles(app)


def send(team: TestClient, kind: str, target: str, before: object, after: object, path: str = "/api/edits") -> int:
    edit = {"key": make_key(), "target": {"kind": kind, "id": target}, "before": before, "after": after}
    return team.post(
        path, json={"key": make_key(), "edits": [edit]} if path == "/api/act" else {"edits": [edit]}
    ).status_code


def test_what_a_role_may_change(team: TestClient) -> None:
    sign_in(team, "rui")
    upload(team, "a.jpg", make_photo())
    [helmet] = add_classes(team, "helmet")
    state = team.get("/api/photos/1").json()["state"]
    box = make_box(random.Random(0), 1, helmet) | {"box": [1, 1, 9, 9]}
    new_class = {"name": "head", "colour": "#e67800"}
    sign_in(team, "ana")
    assert send(team, "shape", make_id(random.Random(1)), None, box) == 200
    assert send(team, "photo", "1", state, {**state, "classes": [helmet], "state": "done"}) == 200
    for path in ("/api/edits", "/api/act"):
        assert send(team, "class", "", None, new_class, path) == 403
        assert send(team, "photo", "1", state, {**state, "removed": True}, path) == 403
        assert send(team, "photo", "1", state, {**state, "split": "test"}, path) == 403
    change = {"key": make_key(), "photos": [1], "fields": {"removed": True}}
    assert team.post("/api/photos/change", json=change).status_code == 403
    change["fields"] = {"flag": "look"}
    assert team.post("/api/photos/change", json=change).status_code == 200
    assert team.post("/api/restore", json={"key": make_key(), "seq": 1}).status_code == 403
    assert team.post(f"/api/classes/{helmet}/retire", json={"key": make_key()}).status_code == 403
    sign_in(team, "leo")
    assert team.get("/api/photos/1").status_code == 200
    assert send(team, "shape", make_id(random.Random(2)), None, box) == 403
    team.post("/api/presence", json={"session": "leo's tab", "photo": 1})
    sign_in(team, "ana")
    assert team.post("/api/next", json={}).json()["photo"] is None  # it is done; and nobody who only looks has it
    sign_in(team, "rui")
    assert send(team, "class", "", None, new_class) == 200
    assert team.get("/api/people").status_code == 403


def test_an_edit_is_not_saved_under_another_name(team: TestClient) -> None:
    """Two tabs share a cookie: what ana's page still has to save must not become bia's."""
    sign_in(team, "rui")
    [_helmet] = add_classes(team, "helmet")
    headers = {"X-Lince-Person": "ana"}
    answer = team.post("/api/edits", json={"edits": []}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "other-person")
    assert team.post("/api/edits", json={"edits": []}, headers={"X-Lince-Person": "rui"}).status_code == 200


def test_owners_add_change_and_remove_people(team: TestClient) -> None:
    sign_in(team, "olga")
    listed = team.get("/api/people").json()
    assert {one["name"]: one["role"] for one in listed["people"]} == PEOPLE
    assert "hash" not in json.dumps(listed)
    add = {"name": "Bia Núñez", "role": "labeller", "password": NEW_PASSWORD, "is_new": True}
    assert team.post("/api/people", json=add).status_code == 200
    assert "already" in team.post("/api/people", json=add).json()["error"]["message"]
    assert team.post("/api/people", json={"name": "eva", "role": "labeller"}).status_code == 422
    assert team.post("/api/people", json={**add, "name": "short", "password": "1234567"}).status_code == 422
    answer = team.post("/api/people", json={**add, "name": "same", "password": "aaaaaaaaaaaa"})
    assert answer.status_code == 422
    assert "aaaa" not in answer.text
    assert team.post("/api/people", json={**add, "name": " \x07 "}).status_code == 422
    assert sign_in(team, "bia núñez", NEW_PASSWORD) == 200
    sign_in(team, "olga")
    assert team.post("/api/people", json={"name": "Bia Núñez", "role": "reader"}).status_code == 200
    assert team.post("/api/people", json={"name": "Bia Núñez", "role": "king"}).status_code == 422
    assert sign_in(team, "bia núñez", NEW_PASSWORD) == 200
    assert team.get("/api/project").json()["role"] == "reader"
    sign_in(team, "olga")
    for change in ({"role": "reader"}, None):
        path = "/api/people" if change else "/api/people/remove"
        answer = team.post(path, json={"name": "olga", **(change or {})})
        assert answer.status_code == 422
        assert "only owner" in answer.json()["error"]["message"]
    assert team.get("/api/people").status_code == 200


def test_sessions_end_with_the_password_and_the_person(team: TestClient) -> None:
    sign_in(team, "ana")
    old = dict(team.cookies)
    answer = team.post("/api/me/password", json={"old": "a wrong password", "new": NEW_PASSWORD})
    assert answer.status_code == 401
    assert team.post("/api/me/password", json={"old": PASSWORD, "new": NEW_PASSWORD}).status_code == 200
    assert team.get("/api/project").status_code == 200, "whoever changed it stays"
    team.cookies = old  # type: ignore[assignment]
    assert team.get("/api/project").status_code == 401, "the others do not"
    assert sign_in(team, "ana", PASSWORD) == 401
    assert sign_in(team, "ana", NEW_PASSWORD) == 200
    kept = dict(team.cookies)
    sign_in(team, "olga")
    assert team.post("/api/people/remove", json={"name": "ana"}).status_code == 200
    team.cookies = kept  # type: ignore[assignment]
    assert team.get("/api/project").status_code == 401


def test_a_cookie_ends_after_a_week_and_by_signing_out(team: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(team, "ana")
    now = time.time()
    monkeypatch.setattr(sessions.time, "time", lambda: now + 6 * 24 * 3600)
    assert team.get("/api/project").status_code == 200
    monkeypatch.setattr(sessions.time, "time", lambda: now + 8 * 24 * 3600)
    assert team.get("/api/project").status_code == 401
    monkeypatch.undo()
    assert team.post("/api/leave", json={}).status_code == 200
    assert not team.cookies
    assert team.get("/api/project").status_code == 401


def test_the_stream_of_news_ends_with_the_person(team: TestClient) -> None:
    studio = team.app.state.studio
    studio.sessions.people.read()
    cookie = studio.sessions.make_cookie("ana")

    async def listen() -> list[str]:
        parts = []
        async for part in studio.events.stream(studio.project, 0, lambda: studio.sessions.find_person(cookie) == "ana"):
            parts.append(part)
            studio.project.write(lambda connection: save_person(connection, "ana", None, passwords.hash_password("x")))
            studio.sessions.people.read()
            studio.events._wake()
        return parts

    assert len(asyncio.run(asyncio.wait_for(listen(), 20))) == 1


def test_guesses_are_bounded_by_name_and_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_book, "is_password", lambda _hashed, given: given == PASSWORD)  # as fast as can be
    now = time.monotonic()
    monkeypatch.setattr(guess_limit.time, "monotonic", lambda: now)
    with open_team(tmp_path) as team:
        assert [sign_in(team, "ana", "wrong") for _time in range(6)] == [401] * 5 + [429]
        assert sign_in(team, "ana") == 429, "the right one has to wait as well, or it would be told by that"
        assert sign_in(team, "olga") == 200
        assert [sign_in(team, f"name {number}", "wrong") for number in range(30)].count(429) == 5
        answer = team.post("/api/enter", json={"name": "olga", "password": PASSWORD})
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) <= guess_limit.WINDOW_SECONDS
        monkeypatch.setattr(guess_limit.time, "monotonic", lambda: now + guess_limit.WINDOW_SECONDS + 1)
        assert sign_in(team, "ana") == 200


def test_hashes_are_salted_and_of_scrypt() -> None:
    one, other = passwords.hash_password(PASSWORD), passwords.hash_password(PASSWORD)
    assert one != other
    assert one.startswith("scrypt$15$8$3$")
    assert passwords.is_password(one, PASSWORD)
    assert not passwords.is_password(one, PASSWORD + " ")
    assert not passwords.is_password("", PASSWORD)
    assert not passwords.is_password("md5$123", PASSWORD)
    assert passwords.is_password(passwords.hash_password("caf\u00e9 con leche"), "cafe\u0301 con leche")


@pytest.mark.parametrize("settings", [{"host": "0.0.0.0"}, {"allowed_hosts": ["labels.example.org"]}])
def test_without_a_password_others_are_not_let_in(tmp_path: Path, settings: dict) -> None:
    with pytest.raises(UsageError, match="no owner of the project has a password") as caught:
        lince.studio(tmp_path / "farm", port=0, **settings)
    assert f"lince studio {tmp_path / 'farm'} --set-password ana --role owner" in caught.value.remedy
    lince.set_studio_password(tmp_path / "farm", "bia", PASSWORD, role="labeller")
    with pytest.raises(UsageError, match="no owner"):
        lince.studio(tmp_path / "farm", port=0, **settings)


def run_lince(*words: str, typed: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "LINCE_LANGUAGE": "en"}
    command = [sys.executable, "-m", "lince", "studio", *words]
    return subprocess.run(command, input=typed, capture_output=True, text=True, env=environment, check=False)


def test_the_command_sets_a_password_and_then_others_are_let_in(tmp_path: Path) -> None:
    folder = tmp_path / "farm"
    done = run_lince(str(folder), "--set-password", "ana", typed="short\n")
    assert done.returncode != 0
    done = run_lince(str(folder), "--set-password", "ana", typed=PASSWORD + "\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "ana can sign in now, with the role owner."
    assert PASSWORD not in done.stdout + done.stderr
    assert run_lince(str(folder), "--role", "owner", typed="").returncode != 0
    with run_studio(folder, "--host", "0.0.0.0") as studio:
        assert "token" not in studio.address
        port = studio.address.rstrip("/").rpartition(":")[2]
        with closing(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)) as client:
            assert client.get("/api/project").status_code == 401
            assert client.post("/api/enter", json={"name": "ana", "password": PASSWORD}).status_code == 200
            assert client.get("/api/project").json()["role"] == "owner"
        lince.set_studio_password(folder, "bia", PASSWORD)  # while it runs
        with closing(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)) as client:
            assert client.post("/api/enter", json={"name": "bia", "password": PASSWORD}).status_code == 200
            assert client.get("/api/project").json()["role"] == "labeller"
            headers = {"Host": f"evil.example:{port}"}
            assert client.get("/api/project", headers=headers).status_code == 421
    assert b"scrypt" in (folder / "project.lince").read_bytes()
    assert PASSWORD.encode() not in (folder / "project.lince").read_bytes()


def test_somebody_who_was_removed_comes_back_as_the_same(tmp_path: Path) -> None:
    with Project(tmp_path) as project:
        project.write(lambda connection: save_person(connection, "olga", None, "x"))
        project.write(lambda connection: save_person(connection, "ana", None, "x"))
        project.write(lambda connection: remove_person(connection, "Ana"))
        back = project.write(lambda connection: save_person(connection, "ANA", None, "y"))
        assert (back.name, back.role) == ("ana", "labeller")
        project.write(lambda connection: remove_person(connection, "ana"))
        with pytest.raises(DataError, match="only owner"):
            project.write(lambda connection: save_person(connection, "OLGA", "reader", None))
    with Project(tmp_path) as project, project.read() as connection:
        assert [(person.name, person.role) for person in list_people(connection)] == [("olga", "owner")]


def test_who_sits_at_this_machine_owns_the_project(tmp_path: Path) -> None:
    with open_client(tmp_path) as client:
        about = client.get("/api/project").json()
        assert (about["role"], about["has_passwords"]) == ("owner", False)
        add = {"name": "bia", "role": "labeller", "password": NEW_PASSWORD, "is_new": True}
        assert client.post("/api/people", json=add).status_code == 200
        assert client.post("/api/enter", json={"name": "bia", "password": NEW_PASSWORD}).status_code == 404


def test_the_address_that_is_told() -> None:
    assert StudioSettings().name_address(1) == "http://127.0.0.1:1"
    assert StudioSettings("192.0.2.1").name_address(1) == "http://192.0.2.1:1"
    assert "0.0.0.0" not in StudioSettings("0.0.0.0").name_address(1)
    assert StudioSettings(hosts=("labels.example.org",)).name_address(1) == "https://labels.example.org"
    assert StudioSettings(hosts=("labels.example.org",)).needs_passwords
    assert not StudioSettings("localhost").needs_passwords
