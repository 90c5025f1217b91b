"""Numbers as peers write them, and as the house does."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.call.numbers import canonical, dialled, subscriber, to_e164
from gateway.call.trunk_options import NumberOptions
from gateway.errors import SipError
from gateway.sip.uri import parse_uri

DE, US = NumberOptions(region="DE"), NumberOptions(region="US")


@pytest.mark.parametrize(
    ("region", "written", "number"),
    [
        ("DE", "+493012345678", "+493012345678"),
        ("DE", "+49 (30) 1234-5678", "+493012345678"),
        ("DE", "030 12345678", "+493012345678"),
        ("DE", "(030)123-456", "+4930123456"),
        ("DE", "00442071234567", "+442071234567"),
        ("DE", "493012345678", "+493012345678"),
        ("US", "2125551234", "+12125551234"),
        ("US", "12125551234", "+12125551234"),
        ("US", "011493012345678", "+493012345678"),
        (None, "030 12345678", "030 12345678"),
        (None, "+49 30 12345678", "+493012345678"),
    ],
)
def test_what_is_dialled_becomes_e164(region: str | None, written: str, number: str) -> None:
    assert to_e164(written, region) == number


@pytest.mark.parametrize(
    ("region", "codes"),
    [("DE", "110 112 116117 11833 1000 pizza 12# *21*0301234567#"), ("US", "911 988 411")],
)
def test_emergency_numbers_short_codes_and_names_stay(region: str, codes: str) -> None:
    options = NumberOptions(region=region, prefix="99", format="national")
    for code in codes.split():
        assert canonical(code, options) == code
        assert dialled(code, options) == code


@pytest.mark.parametrize(
    ("options", "number", "written"),
    [
        (DE, "+493012345678", "+493012345678"),
        (NumberOptions(region="DE", format="plain"), "+493012345678", "493012345678"),
        (NumberOptions(region="DE", format="national"), "+493012345678", "03012345678"),
        (NumberOptions(region="DE", format="national"), "+12125551234", "0012125551234"),
        (NumberOptions(region="US", format="international"), "+493012345678", "011493012345678"),
        (NumberOptions(format="international"), "+493012345678", "00493012345678"),
        (NumberOptions(format="plain", prefix="1234#"), "+493012345678", "1234#493012345678"),
    ],
)
def test_each_trunk_is_told_numbers_in_its_way(options: NumberOptions, number: str, written: str) -> None:
    assert dialled(number, options) == written


def test_the_longest_prefix_is_taken_off_called_numbers_alone() -> None:
    options = NumberOptions(region="DE", strip=["9", "9900"])
    assert canonical("990003012345678", options) == "+493012345678"
    assert canonical("9", options) == "9"
    assert canonical("903012345678", options, called=False) != canonical("903012345678", options)


@pytest.mark.parametrize("style", ["e164", "international", "national"])
@pytest.mark.parametrize("number", ["+493012345678", "+12125551234", "+442071234567"])
@pytest.mark.parametrize("region", ["DE", "US", "GB"])
def test_our_own_writing_is_read_back(region: str, style: str, number: str) -> None:
    options = NumberOptions.model_validate({"region": region, "format": style})
    assert canonical(dialled(number, options), options) == number


@given(st.text(max_size=40))
def test_nothing_that_is_written_raises(text: str) -> None:
    for region in (None, "DE", "US"):
        number = to_e164(text, region)
        assert to_e164(number, region) == number
        dialled(number, NumberOptions(region=region, format="national"))


@pytest.mark.parametrize(
    ("uri", "who"),
    [
        ("sip:+12125551212;npdi;rn=+12125550000@h", "+12125551212"),  # RFC 4694: a ported number
        ("sip:+12155551212;verstat=TN-Validation-Passed@h;user=phone", "+12155551212"),
        ("sip:+12155551212;tgrp=east;trunk-context=h.example@h", "+12155551212"),  # RFC 4904
        ("tel:+12155551212;verstat=TN-Validation-Passed", "+12155551212"),
        ("tel:+49-30-12345;isub=1411", "+49-30-12345"),
        ("tel:2125551212;phone-context=+1", "+12125551212"),
        ("sip:2125551212;phone-context=+1@h;user=phone", "+12125551212"),
        ("tel:911;phone-context=+1", "911"),
        ("tel:7042;phone-context=example.com", "7042"),
        ("tel:7042;phone-context=+999", "7042"),
        ("sip:user;par=u%40example.net@h", "user;par=u@example.net"),  # semiuri of RFC 4475: a name
        ("sip:pizza;x@h", "pizza;x"),
        ("sip:h", ""),
    ],
)
def test_a_number_is_told_from_what_it_brings_along(uri: str, who: str) -> None:
    assert subscriber(parse_uri(uri)) == who


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_user_part_breaks_it(user: str, context: str) -> None:
    for text in (f"sip:{user};phone-context={context}@h", f"tel:{user};phone-context={context}"):
        with suppress(SipError):
            subscriber(parse_uri(text))
