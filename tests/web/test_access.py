"""Which requests a server may answer: hosts, origins, and the language of the client."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from lince.serving.settings import ServerSettings
from lince.studio.studio_settings import StudioSettings
from lince.web.access import (
    is_allowed_host,
    is_allowed_origin,
    negotiate_language,
    wrong_host_error,
    wrong_origin_error,
)
from lince.web.loopback import is_loopback


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:8765", "[::1]:80", "a.localhost", "LOCALHOST."]
)
def test_names_of_this_machine_are_allowed(host: str) -> None:
    assert is_allowed_host(Headers({"host": host}), (), is_local=True)
    assert not is_allowed_host(Headers({"host": host}), (), is_local=False)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "192.168.1.7"]
)
def test_names_of_others_are_not(host: str) -> None:
    assert not is_allowed_host(Headers({"host": host}), (), is_local=True)
    assert is_allowed_host(Headers({"host": host}), (host.partition(":")[0],), is_local=True)


def test_a_page_of_another_site_may_read_nothing_it_could_not_and_change_nothing() -> None:
    foreign = Headers({"host": "localhost:1", "origin": "http://evil.example"})
    assert is_allowed_origin("GET", foreign)
    assert not is_allowed_origin("POST", foreign)
    assert is_allowed_origin("POST", foreign, ("http://evil.example",))
    assert is_allowed_origin("POST", Headers({"host": "localhost:1", "origin": "http://localhost:1"}))
    assert not is_allowed_origin("POST", Headers({"host": "localhost:1", "origin": "http://localhost:2"}))
    assert is_allowed_origin("POST", Headers({"host": "a", "origin": "http://b", "sec-fetch-site": "same-origin"}))
    assert not is_allowed_origin("DELETE", Headers({"host": "a", "origin": "null"}))


def test_the_language_is_the_one_asked_for_or_the_best_accepted() -> None:
    assert negotiate_language(b"lang=pt-BR", "es") == "pt"
    assert negotiate_language(b"", "fr;q=0.9, es-AR;q=0.5, en;q=0.4") == "es"
    assert negotiate_language(b"lang=xx", "fr") is None


def test_errors_have_the_status_of_their_kind() -> None:
    assert (wrong_host_error().status, wrong_origin_error().status) == (421, 403)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_addresses_of_this_machine_alone_are_local_to_both_servers(host: str) -> None:
    assert is_loopback(host)
    assert ServerSettings(host=host).is_local
    assert StudioSettings(host).is_local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", "localhost.example.org", "1", ""])
def test_other_addresses_are_not(host: str) -> None:
    assert not is_loopback(host)
    assert not ServerSettings(host=host, token="x" * 20).is_local
    assert StudioSettings(host).needs_passwords
