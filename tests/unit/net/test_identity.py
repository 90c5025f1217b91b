from __future__ import annotations

import pytest

from gateway.net.identity import identities, proves


def certificate(*names: tuple[str, str], common: str = "cn.example") -> dict[str, object]:
    return {"subject": ((("commonName", common),),), "subjectAltName": names}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([("URI", "sip:Example.org"), ("DNS", "www.example.org")], {"example.org"}),
        ([("URI", "sip:a.example"), ("URI", "sip:b.example")], {"a.example", "b.example"}),
        ([("URI", "sip:alice@example.org"), ("DNS", "Sip.example.org")], {"sip.example.org"}),
        ([("URI", "https://example.org"), ("DNS", "sip.example.org")], {"sip.example.org"}),
        ([("URI", "sip:example.org;transport=tls")], {"example.org"}),
        ([("IP Address", "2001:DB8:0:0:0:0:0:1"), ("DNS", "a.example")], {"2001:db8::1", "a.example"}),
        ([("URI", "sip:alice@example.org")], set()),
        ([], {"cn.example"}),
    ],
)
def test_whom_a_certificate_speaks_for(names: list[tuple[str, str]], expected: set[str]) -> None:
    assert identities(certificate(*names)) == expected


@pytest.mark.parametrize(
    ("host", "proven"),
    [
        ("sip.example.org", True),
        ("SIP.Example.ORG.", True),
        ("192.0.2.1", True),
        ("example.org", False),
        ("a.sip.example.org", False),
        ("any.wild.example", False),  # RFC 5922 7.2
        ("cn.example", False),
        ("192.0.2.2", False),
    ],
)
def test_exactly_the_host_is_proven(host: str, proven: bool) -> None:
    names = [("DNS", "sip.example.org"), ("DNS", "*.wild.example"), ("IP Address", "192.0.2.1")]
    assert proves(certificate(*names), host) is proven


@pytest.mark.parametrize(
    ("host", "proven"),
    [
        ("any.wild.example", True),
        ("ANY.Wild.example", True),
        ("a.any.wild.example", False),  # RFC 2818 3.1: one label
        ("wild.example", False),
        ("any.com", False),
        ("a.f.example", False),
        ("192.0.2.1", False),
    ],
)
def test_a_wildcard_is_one_label_and_counts_where_it_is_asked_for(host: str, proven: bool) -> None:
    names = [("DNS", "*.wild.example"), ("DNS", "*.com"), ("DNS", "a*.f.example"), ("DNS", "*.0.2.1")]
    assert proves(certificate(*names), host, wildcards=True) is proven
    assert not proves(certificate(*names), host)


def test_nobody_has_shown_one() -> None:
    assert not proves({}, "example.org")
