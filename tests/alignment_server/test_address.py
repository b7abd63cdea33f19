"""Addresses of servers, and what opens them."""

from __future__ import annotations

import base64

import pytest

from structdiff.alignment_server.address import server_address
from structdiff.errors import InputError

SECRETS = {"STRUCTDIFF_MSA_USER": "me", "STRUCTDIFF_MSA_PASSWORD": "pass word"}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("colabfold", "https://api.colabfold.com"),
        ("https://API.colabfold.com/", "https://api.colabfold.com"),
        ("http://localhost:8888/api/", "http://localhost:8888/api"),
        ("https://msa.example.org:443", "https://msa.example.org"),
        ("http://[::1]:80/x", "http://[::1]/x"),
    ],
)
def test_one_server_has_one_address(text: str, url: str) -> None:
    assert server_address(text, {}).url == url


@pytest.mark.parametrize(
    "text", ["colabfolt", "ftp://a.org", "https://", "https://a.org/?q=1", "https://a.org:x", "https://a b.org", ""]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InputError, match="this is no address of a server"):
        server_address(text, {})


def test_a_misspelt_name_is_told() -> None:
    with pytest.raises(InputError, match="did you mean 'colabfold'"):
        server_address("colabfolt", {})


def test_user_and_password_come_from_the_address_or_the_environment() -> None:
    told = f"Basic {base64.b64encode(b'me:pass word').decode()}"
    assert server_address("https://a.org", SECRETS).headers == {"Authorization": told}
    found = server_address("https://me:pass%20word@a.org/b", {"STRUCTDIFF_MSA_USER": "other"})
    assert found.headers == {"Authorization": told}
    assert found.url == "https://a.org/b"
    assert "Basic" not in repr(found)


def test_a_key_goes_into_the_header_that_is_named() -> None:
    assert server_address("https://a.org", {"STRUCTDIFF_MSA_API_KEY": "k1\n"}).headers == {"X-API-Key": "k1"}
    named = {"STRUCTDIFF_MSA_API_KEY": "Bearer k1", "STRUCTDIFF_MSA_API_KEY_HEADER": "Authorization"}
    assert server_address("https://a.org", named).headers == {"Authorization": "Bearer k1"}
    with pytest.raises(InputError, match="says user and password already"):
        server_address("https://a.org", {**named, **SECRETS})


def test_public_servers_are_told_nothing_secret() -> None:
    environment = {**SECRETS, "STRUCTDIFF_MSA_API_KEY": "k1"}
    assert server_address("colabfold", environment).headers == {}
    assert server_address("https://api.colabfold.com", environment).headers == {}


@pytest.mark.parametrize("text", ["ftp://me:hidden@a.org", "https://me:hidden@a.org?x", "me:hidden@a.org"])
def test_errors_repeat_no_password(text: str) -> None:
    with pytest.raises(InputError) as caught:
        server_address(text, {})
    assert "hidden" not in str(caught.value)


def test_errors_repeat_no_key() -> None:
    with pytest.raises(InputError, match="STRUCTDIFF_MSA_API_KEY") as caught:
        server_address("https://a.org", {"STRUCTDIFF_MSA_API_KEY": "hid\nden"})
    assert "den" not in str(caught.value).replace("hidden", "")
