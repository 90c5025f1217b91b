"""How a call is written on its trunk."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.call.dialling import dial, escaped, shown_number
from gateway.call.trunk_options import TargetOptions, TrunkOptions
from gateway.errors import SipError
from gateway.sip.uri import parse_uri
from gateway.sip.values import parse_address

TARGET = TargetOptions(uri="sip:sip.carrier.example:5061;transport=tls")


def trunk(**keys: Any) -> TrunkOptions:
    return TrunkOptions.model_validate({"name": "carrier", "targets": [{"uri": TARGET.uri}], **keys})


def test_the_number_goes_into_the_target() -> None:
    placed = dial(trunk(), TARGET, "+493012345678", "+49301")
    assert placed.uri == "sip:+493012345678@sip.carrier.example:5061;transport=tls"
    assert (placed.user, placed.sender, placed.headers) == ("+49301", "", ())


def test_who_calls_is_told_as_the_trunk_wants_it() -> None:
    options = trunk(caller_id={"trusted": True, "host": "us.example"}, headers={"X-A": "1"})
    placed = dial(options, TARGET, "+493012345678", "+4930991234", display='Luigi "L"', headers=(("X-B", "2"),))
    sender = parse_address(placed.sender)
    assert (sender.display, sender.uri_text) == ('Luigi "L"', "sip:+4930991234@us.example")
    assert placed.headers == (
        ("X-A", "1"), ("X-B", "2"), ("P-Asserted-Identity", "<sip:+4930991234@us.example>"),
    )  # fmt: skip


@pytest.mark.parametrize("trusted", [True, False])
def test_a_number_that_is_withheld_is_told_only_to_whom_we_trust(trusted: bool) -> None:
    placed = dial(trunk(caller_id={"trusted": trusted}), TARGET, "+49301", "+4930991234", private=True)
    assert ("Privacy", "id") in placed.headers
    assert placed.sender == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    everything = placed.user + placed.sender + str(placed.headers)
    assert ("991234" in everything) == trusted


def test_only_our_own_numbers_are_shown() -> None:
    options = trunk(caller_id={"allowed": ["+4930*"], "default": "+4930991234"}, numbers={"region": "DE"})
    assert shown_number(options, None) == "+4930991234"
    assert shown_number(options, "030 991235") == "+4930991235"
    with pytest.raises(SipError, match=r"caller_id\.allowed"):
        shown_number(options, "+4940991234")


@given(st.text(max_size=60))
def test_whatever_is_called_stays_a_user_part(text: str) -> None:
    user = escaped(text)
    if user:
        uri = parse_uri(dial(trunk(), TARGET, text, "").uri)
        assert (uri.host, uri.port, uri.parameters) == ("sip.carrier.example", 5061, ";transport=tls")


@pytest.mark.parametrize(
    "keys",
    [
        {"targets": [{"uri": "sip:user@carrier.example"}]},
        {"targets": [{"uri": "tel:+4930"}]},
        {"targets": [{"uri": "sip:a.example"}, {"uri": "sip:a.example"}]},
        {"headers": {"Via": "x"}},
        {"headers": {"X-A": "a\r\nB: c"}},
        {"headers": {"X A": "1"}},
        {"targets": []},
    ],
)
def test_what_cannot_be_dialled_is_found_in_the_file(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        trunk(**keys)
