"""Telephone numbers: E.164 inside, whatever the peer writes outside. Pure; what is no number stays as it is.

    canonical("030 12345", options)          # "+493012345" where region is DE
    dialled("+493012345", options)           # as this trunk wants it, "03012345" for format: national

Emergency numbers and short codes mean something only where they are dialled: they are never rewritten (RFC 3966 5.1.4).
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberFormat

from gateway.call.trunk_options import NumberOptions
from gateway.sip.uri import Uri
from gateway.sip.values import plain

__all__ = ["canonical", "dialled", "is_number", "subscriber", "to_e164"]

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_DIALLED: Final = re.compile(r"\+?[0-9(][0-9 ().-]{1,30}")
_SEPARATORS: Final = re.compile(r"[ ().-]")  # RFC 3966 5.1.1: visual separators mean nothing
_COUNTRY: Final = re.compile(r"\+[1-9][0-9]{0,2}")
_SHORTEST: Final = 7
"""A short code has fewer digits in every numbering plan; what a subscriber dials locally has no place in a trunk."""


def subscriber(uri: Uri) -> str:
    """Who a URI names, printable: a number without the parameters that it brings along in a ``tel:`` URI, and in the
    user part of a ``sip:`` one (RFC 3261 19.1.6): ``;npdi;rn=`` of number portability (RFC 4694), ``;verstat=``,
    ``;tgrp=`` (RFC 4904), ``;isub=``. ``;phone-context=+49`` says in which country a number without a plus is dialled
    (RFC 3966 5.1.5). What is no number is a name, and whole."""
    if ";" not in uri.user and (uri.host or not uri.parameters):
        return plain(uri.user_text)
    user, _, parameters = uri.user.partition(";")
    number = plain(replace(uri, user=user).user_text)
    if not is_number(number):
        return plain(uri.user_text)
    context = replace(uri, parameters=f";{parameters}" if uri.host else uri.parameters).parameter("phone-context")
    return number if context is None or number.startswith("+") else _in_country(number, context)


def _in_country(number: str, context: str) -> str:
    """As E.164 if the context is a country's; another one is the peer's business."""
    if not _COUNTRY.fullmatch(context):
        return number
    region = phonenumbers.region_code_for_country_code(int(context[1:]))
    return to_e164(number, region) if region in phonenumbers.SUPPORTED_REGIONS else number


def is_number(text: str) -> bool:
    """Whether a user part is meant as a telephone number."""
    return _DIALLED.fullmatch(text) is not None


def canonical(text: str, options: NumberOptions, *, called: bool = True) -> str:
    """What a peer wrote, as E.164 if it can be told. Prefixes are taken off what is ``called`` alone."""
    if called and options.strip:
        text = _stripped(text, options.strip)
    return to_e164(text, options.region)


def _stripped(text: str, prefixes: list[str]) -> str:
    fitting = max((prefix for prefix in prefixes if text.startswith(prefix)), key=len, default="")
    return text[len(fitting) :] or text


@lru_cache(maxsize=4096)
def to_e164(text: str, region: str | None) -> str:
    """``text`` itself where it is no number, a short one, or none that ``region`` could dial."""
    if _E164.fullmatch(text) or not _DIALLED.fullmatch(text):
        return text
    digits = _SEPARATORS.sub("", text)
    if digits.startswith("+"):
        return digits
    if region is None or len(digits) < _SHORTEST:
        return text
    return _from_region(digits, region) or text


def _from_region(digits: str, region: str) -> str | None:
    """What somebody in ``region`` reaches who dials this; None if it is nothing, or a short code."""
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    short = phonenumbers.is_valid_short_number_for_region(number, region)
    if short or phonenumbers.is_emergency_number(digits, region) or not phonenumbers.is_possible_number(number):
        return None
    # Many carriers leave the plus out and nothing else: 493012345678 is more likely that than a number of Berlin.
    bare = None if phonenumbers.is_valid_number(number) else _with_plus(digits, region)
    return bare or str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def _with_plus(digits: str, region: str) -> str | None:
    """The number, were only its plus missing: a valid one of the same country."""
    code = str(phonenumbers.country_code_for_region(region))
    if not digits.startswith(code) or digits.startswith("0"):
        return None
    try:
        number = phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        return None
    return f"+{digits}" if phonenumbers.is_valid_number(number) else None


@lru_cache(maxsize=4096)
def _formatted(number: str, style: str, region: str | None) -> str:
    if style == "plain":
        return number[1:]
    parsed = phonenumbers.parse(number)
    if style == "national":
        own = region is not None and parsed.country_code == phonenumbers.country_code_for_region(region)
        if own:
            return _SEPARATORS.sub("", phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)).replace("/", "")
        style = "international"
    if region is None:
        return "00" + number[1:]  # ITU-T E.164: what most of the world dials
    prefix = _international_prefix(region)
    return prefix + number[1:]


def _international_prefix(region: str) -> str:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    prefix = (metadata.preferred_international_prefix or metadata.international_prefix) if metadata else None
    return prefix if prefix and prefix.isdecimal() else "00"


def dialled(number: str, options: NumberOptions, *, called: bool = True) -> str:
    """An own number as this trunk wants to see it. The prefix is for what is ``called`` alone."""
    prefix = options.prefix if called else ""
    if not _E164.fullmatch(number):
        return number  # a name or a short code: a prefix would change what it means
    if options.format == "e164":
        return prefix + number
    return prefix + _formatted(number, options.format, options.region)
