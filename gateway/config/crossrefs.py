"""What no single block can know: names that must exist elsewhere in the file, and numbers that must fit together.

They are checked on the raw file as far as its blocks allow, so that one run shows these problems beside the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config.blocks import Checked
from gateway.config.model import Config
from gateway.config.problems import show, suggest
from gateway.config.yaml_source import Document, Path

__all__ = ["check_numbers", "check_references"]


def check_references(
    raw: Mapping[str, Any], plugs: Mapping[str, Checked], providers: Mapping[str, Checked], document: Document
) -> None:
    """Routes name plugs, plugs name providers that have the role, trunks have names of their own."""
    for plug in plugs.values():
        if plug.spec is not None:
            _check_providers(plug, providers, document)
    for index, route in enumerate(_list(raw.get("routes"))):
        _check_route(index, route, plugs, document)
    _check_trunk_names(_list(raw.get("trunks")), document)


def check_numbers(config: Config, document: Document) -> None:
    """A SIP socket must not stand where a call may want its RTP; trunks and routes must be able to do what they say."""
    _check_trunks(config, document)
    for index, route in enumerate(config.routes):
        for name in route.trunks or ():
            names = [trunk.name for trunk in config.trunks]
            if name not in names:
                path: Path = ("routes", index, "trunks")
                text = f"{show(path)}: there is no trunk {name!r}; {suggest(name, names, what='defined under trunks')}"
                document.problems.append((document.line(path), text))
    low, high = config.media.ports
    for port in sorted({one.port for one in config.sip.listen if low <= one.port <= high}):
        text = f"media.ports: {low}-{high} holds the SIP port {port}; choose a range without it"
        document.problems.append((document.line(("media", "ports")), text))


def _check_trunks(config: Config, document: Document) -> None:
    users: dict[str, str] = {}
    for index, trunk in enumerate(config.trunks):

        def tell(key: str, text: str, index: int = index) -> None:
            path: Path = ("trunks", index, key)
            document.problems.append((document.line(path), f"{show(path)}: {text}"))

        for name in trunk.codecs or ():
            if name not in config.media.codecs:
                tell("codecs", f"{name!r} is not served; {suggest(name, config.media.codecs, what='in media.codecs')}")
        if trunk.tls_names and not (config.sip.tls and config.sip.tls.verify_client):
            tell("tls_names", "nobody shows a certificate unless sip.tls.verify_client is true")
        if trunk.login is not None:
            if trunk.login.user in users:
                tell(
                    "login",
                    f"user {trunk.login.user!r} is that of trunk {users[trunk.login.user]!r}; give each its own",
                )
            users[trunk.login.user] = trunk.name


def _check_providers(plug: Checked, providers: Mapping[str, Checked], document: Document) -> None:
    for key, role in plug.spec.provider_roles.items():
        path: Path = (*plug.path, *key.split("."))
        value = None if path in document.broken else plug.get(key)
        for name in value if isinstance(value, list | tuple) else [value]:
            if isinstance(name, str):
                problem = _provider_problem(name, role, providers)
                if problem:
                    document.problems.append((document.line(path), f"{show(path)}: {problem}"))


def _provider_problem(name: str, role: str, providers: Mapping[str, Checked]) -> str | None:
    if name not in providers:
        return f"there is no provider {name!r}; {suggest(name, providers, what='defined under providers')}"
    spec = providers[name].spec
    if spec is not None and role not in spec.roles:
        able = [other for other, one in providers.items() if one.spec is not None and role in one.spec.roles]
        return f"provider {name!r} has no role {role!r}; {suggest(name, able, what=f'able to be {role}')}"
    return None


def _check_route(index: int, route: object, plugs: Mapping[str, Checked], document: Document) -> None:
    name = route.get("plug") if isinstance(route, dict) else None
    if isinstance(name, str) and name not in plugs:
        path: Path = ("routes", index, "plug")
        text = f"{show(path)}: there is no plug {name!r}; {suggest(name, plugs, what='defined under plugs')}"
        document.problems.append((document.line(path), text))


def _check_trunk_names(trunks: list[Any], document: Document) -> None:
    first: dict[str, int] = {}
    for index, trunk in enumerate(trunks):
        name = trunk.get("name") if isinstance(trunk, dict) else None
        if not isinstance(name, str):
            continue
        path: Path = ("trunks", index, "name")
        if name in first:
            text = f"{show(path)}: name {name!r} is taken by the trunk in line {first[name]}; give each its own"
            document.problems.append((document.line(path), text))
        first.setdefault(name, document.line(path))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
