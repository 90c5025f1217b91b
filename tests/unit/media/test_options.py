"""The block ``media``: what an operator writes, and what is refused with a sentence that helps."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.errors import ResourceError
from gateway.media.options import MediaOptions


def test_the_defaults_are_usable():
    options = MediaOptions()
    assert options.ports == (20000, 29999)
    assert options.rtp_timeout == 30 * 10**9


@pytest.mark.parametrize("ports", ["20000", "30000-20000", "80-90", "1-x", "20000-70000", 20000, "5000-5000"])
def test_bad_ranges_of_ports_are_refused(ports):
    with pytest.raises(ValidationError, match=r"ports"):
        MediaOptions(ports=ports)


def test_addresses_of_both_kinds():
    assert MediaOptions(address="::1", advertise="2001:db8::1").address.version == 6
    with pytest.raises(ValidationError):
        MediaOptions(address="example.org")


def test_codecs_are_known_ones_each_once():
    assert MediaOptions(codecs=["l16-16k", "pcma"]).codecs == ("l16-16k", "pcma")
    for wrong, sentence in ((["g729"], "no codec; known"), (["pcmu", "pcmu"], "named once"), ([], "at least 1")):
        with pytest.raises(ValidationError, match=sentence):
            MediaOptions(codecs=wrong)


def test_a_codec_whose_library_is_missing_cannot_be_configured(monkeypatch):
    def missing(*_):
        raise ResourceError("opus needs libopus; install it")

    monkeypatch.setattr("gateway.media.codecs.contract.CodecSpec.kernel_for", missing)
    with pytest.raises(ValidationError, match="opus needs libopus"):
        MediaOptions(codecs=["opus"])
