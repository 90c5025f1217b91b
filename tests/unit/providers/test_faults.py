"""What a refusal means, and what an operator's overrides make of an address and a body."""

from __future__ import annotations

import pytest

from gateway.providers.faults import close_fault, http_fault, retry_after
from gateway.providers.options import address, merged, web_socket
from gateway.units import MS, SECOND


@pytest.mark.parametrize(
    ("status", "body", "transient", "busy"),
    [
        (400, "", False, False),
        (401, "", False, False),
        (402, "", False, False),
        (404, "", False, False),
        (408, "", True, False),
        (409, "", True, False),
        (422, "", False, False),
        (425, "", True, False),
        (429, "", True, True),
        (429, '{"error":{"code":"insufficient_quota","message":"no money"}}', False, False),
        (500, "", True, False),
        (503, "", True, False),
        (529, "", True, True),
    ],
)
def test_a_status_is_transient_or_not(status: int, body: str, transient: bool, busy: bool) -> None:
    fault = http_fault(status, {}, body)
    assert (fault.transient, fault.busy) == (transient, busy)


def test_the_providers_own_word_wins() -> None:
    assert not http_fault(503, {"x-should-retry": "false"}, "").transient
    assert http_fault(400, {"x-should-retry": "true"}, "").transient


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"error":{"message":"bad key","type":"x"}}', "bad key"),
        ('{"error":"model not found"}', "model not found"),
        ('{"detail":{"status":"x","message":"no such voice"}}', "no such voice"),
        ('{"err_code":"X","err_msg":"no credit"}', "no credit"),
        ("Title: Message", "Title: Message"),
        ("", ""),
        ("[1]", "[1]"),
        ("{}", ""),
    ],
)
def test_the_reason_is_found_in_any_shape(body: str, said: str) -> None:
    assert http_fault(401, {}, body).text == f"HTTP 401{f': {said}' if said else ''}"


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3 * SECOND),
        ({"retry-after": "0.5"}, SECOND // 2),
        ({"retry-after": "3", "retry-after-ms": "250"}, 250 * MS),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:10 GMT", "date": "Fri, 20 Nov 2026 12:00:00 GMT"}, 10 * SECOND),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:10 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after-ms": "nan"}, None),
        ({"retry-after": "999999999999"}, None),
    ],
)
def test_the_pause_that_is_asked_for(headers: dict[str, str], pause: int | None) -> None:
    assert retry_after(headers) == pause


@pytest.mark.parametrize(
    ("code", "transient"),
    [(1000, True), (1001, True), (1006, True), (1008, False), (1003, False), (1011, True), (None, True)],
)
def test_a_close_code_is_transient_or_not(code: int | None, transient: bool) -> None:
    assert close_fault(code, "x").transient is transient


def test_an_operators_query_wins_and_a_list_repeats_its_key() -> None:
    url = address("https://h", "/p", {"a": 1, "b": None, "c": ["x y", "z"], "d": True}, {"a": 2, "e": "ü"})
    assert url == "https://h/p?a=2&c=x%20y&c=z&d=true&e=%C3%BC"
    assert address("https://h", "/p", {}) == "https://h/p"


def test_extra_json_is_laid_over_block_by_block() -> None:
    body = {"a": {"b": 1, "c": 2}, "d": 3}
    assert merged(body, {"a": {"b": None, "e": 4}, "d": None, "f": [1]}) == {"a": {"c": 2, "e": 4}, "f": [1]}
    assert body == {"a": {"b": 1, "c": 2}, "d": 3}


def test_http_becomes_web_socket() -> None:
    assert [web_socket(url) for url in ("https://h/x", "http://h", "wss://h")] == ["wss://h/x", "ws://h", "wss://h"]


def test_a_refusal_that_nests_without_end_is_a_refusal() -> None:
    assert http_fault(503, {}, "[" * 100_000).transient
