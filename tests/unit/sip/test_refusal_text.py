"""A caller who was refused is told why, as far as the peer says so."""

from __future__ import annotations

import pytest

from gateway.sip.message import Response
from gateway.sip.reasons import refusal_text


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ([], "Not Acceptable Here"),
        ([("Warning", '305 gw "no common codec"')], "Not Acceptable Here: no common codec"),
        ([("Warning", '399 gw "unfinished')], "Not Acceptable Here: "),
        ([("Warning", "399 gw")], "Not Acceptable Here"),
        ([("Reason", 'SIP;text="busy doing"'), ("Warning", '399 gw "limit"')], "busy doing: limit"),
    ],
)
def test_refusals(headers: list[tuple[str, str]], text: str) -> None:
    assert refusal_text(Response(488, "Not Acceptable Here", headers)) == text
