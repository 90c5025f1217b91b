from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import Field

from gateway import registry
from gateway.config import Config, loads
from gateway.errors import ConfigError
from gateway.net import sip_tcp, sip_tls, sip_udp
from gateway.options import Options, Secret
from gateway.plugs.contract import PlugSpec
from gateway.providers.contract import ProviderSpec


class AcmeOptions(Options):
    """A provider's options."""

    url: str
    """Where."""
    token: Secret | None = None
    """Key."""
    port: int = 1


class AgentOptions(Options):
    """A plug's options."""

    stt: str
    tts: str = "acme"
    spare: list[str] = Field(default_factory=list)


class EmptyOptions(Options):
    """None."""


@dataclass
class Entry:
    """Stands for an entry point."""

    spec: object

    def load(self) -> object:
        if isinstance(self.spec, Exception):
            raise self.spec
        return self.spec


ROLES = {"stt": "stt", "tts": "tts", "spare": "stt"}
GROUPS: dict[str, dict[str, Any]] = {
    registry.PROVIDERS: {
        "acme": Entry(ProviderSpec("acme", AcmeOptions, lambda name, options: None, frozenset({"stt", "tts"}))),  # type: ignore[arg-type,return-value]
        "ear": Entry(ProviderSpec("ear", AcmeOptions, lambda name, options: None, frozenset({"stt"}))),  # type: ignore[arg-type,return-value]
        "broken": Entry(ImportError("No module named 'acme_sdk'")),
        "strange": Entry(object()),
    },
    registry.TRANSPORTS: {"tcp": Entry(sip_tcp.SPEC), "tls": Entry(sip_tls.SPEC), "udp": Entry(sip_udp.SPEC)},
    registry.PLUGS: {
        "agent": Entry(PlugSpec("agent", AgentOptions, lambda options: None, ROLES)),  # type: ignore[arg-type,return-value]
        "echo": Entry(PlugSpec("echo", EmptyOptions, lambda options: None, {})),  # type: ignore[arg-type,return-value]
    },
}


@pytest.fixture(autouse=True)
def groups(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Kinds of our own making, unless a test is about the registered ones."""
    if "registered" not in request.keywords:
        monkeypatch.setattr(registry, "_group", GROUPS.__getitem__)


@pytest.fixture
def problems() -> Callable[..., list[str]]:
    """Loads a text that must be refused, and gives what was said about it, without the file's name."""

    def load(text: str, **env: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            loads(text, env, name="f")
        return [problem.removeprefix("f:") for problem in caught.value.problems]

    return load


@pytest.fixture
def good() -> Callable[..., Config]:
    return lambda text, **env: loads(text, env)
