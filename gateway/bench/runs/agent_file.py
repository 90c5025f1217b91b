"""A gateway's configuration, moved to where a run may start it: free ports, models of the run's own, a log to read.

What the file says about calls stays as it is; what would meet another gateway on the machine (its listeners, records,
metrics) is replaced.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.config import load, yaml_source
from gateway.errors import ConfigError

__all__ = ["AgentFile", "read_agent_file"]

_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_RECORDS: Final = "calls.sqlite"


@dataclass(frozen=True, slots=True)
class AgentFile:
    """A configuration that was found valid."""

    path: Path
    number: str
    """User part to call."""
    raw: Mapping[str, Any]

    @property
    def own_models(self) -> list[str]:
        """Providers that stand on this machine and speak our protocol: the run starts models for each."""
        return [name for name, block in self._providers() if _is_here(block)]

    def _providers(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        yield from (self.raw.get("providers") or {}).items()

    def moved(self, sip_port: int, models: Mapping[str, str], directory: Path) -> dict[str, Any]:
        """With its models at these URLs, and what it writes down in ``directory``."""
        raw: dict[str, Any] = dict(_absolute(self.raw, self.path.parent))
        raw["sip"] = {**(raw.get("sip") or {}), "listen": f"udp://127.0.0.1:{sip_port}"}
        raw["sip"].pop("advertise", None)
        raw["media"] = {**(raw.get("media") or {}), "address": "127.0.0.1"}
        raw["media"].pop("advertise", None)
        raw["providers"] = {
            name: {**block, "url": models[name]} if name in models else block
            for name, block in (raw.get("providers") or {}).items()
        }
        raw["records"] = {**(raw.get("records") or {}), "database": str(directory / _RECORDS)}
        raw["routes"] = [_recorded_in(directory, route) for route in raw.get("routes") or []]
        raw["log"] = {**(raw.get("log") or {}), "format": "json", "level": "info"}
        raw.pop("telemetry", None)
        return raw


def read_agent_file(path: Path, number: str | None = None) -> AgentFile:
    """``number`` is who to call; without it, the first route to a plug that talks. Raises ``ConfigError``."""
    config = load(path)
    raw = yaml_source.parse(path.read_text(encoding="utf-8")).value
    if not isinstance(raw, dict):
        raise ConfigError([f"{path}: the file must be blocks of keys"])
    talking = [route.to for route in config.routes if config.plugs[route.plug].kind in {"pipeline", "realtime"}]
    chosen = number or next((str(to) for to in talking if "*" not in str(to)), None)
    if chosen is None:
        raise ConfigError([f"{path}: no route leads to a plug that talks; name a number: {path}#NUMBER"])
    return AgentFile(path, chosen, raw)


def _is_here(block: Mapping[str, Any]) -> bool:
    url = urlsplit(str(block.get("url", "")))
    return block.get("kind") == "native" and url.scheme == "ws" and url.hostname in _HERE


def _absolute(value: Any, directory: Path) -> Any:
    """Secrets in files beside the configuration stay where they are, though it is moved."""
    if isinstance(value, Mapping):
        if set(value) == {"file"} and isinstance(value["file"], str):
            return {"file": str((directory / value["file"]).absolute())}
        return {key: _absolute(item, directory) for key, item in value.items()}
    return [_absolute(item, directory) for item in value] if isinstance(value, list) else value


def _recorded_in(directory: Path, route: Mapping[str, Any]) -> Mapping[str, Any]:
    recording = route.get("recording")
    if not isinstance(recording, Mapping) or "file" not in recording:
        return route
    file = directory / "recordings" / Path(str(recording["file"])).name
    return {**route, "recording": {**recording, "file": str(file)}}


def free_port(kind: socket.SocketKind) -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
