"""The blocks under ``providers`` and ``plugs``: each is checked by the options type that its kind registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydantic import ValidationError, create_model

from gateway import registry
from gateway.config.model import Block
from gateway.config.problems import collect, show, suggest
from gateway.config.yaml_source import Document, Path
from gateway.options import Options
from gateway.plugs.contract import PlugSpec
from gateway.providers.contract import ProviderSpec
from gateway.providers.router.options import UpstreamOptions

__all__ = ["SECTIONS", "Checked", "as_blocks", "attribute", "check_blocks", "find_spec", "options_type"]

SECTIONS: Final[Mapping[str, tuple[str, type]]] = {
    "providers": (registry.PROVIDERS, ProviderSpec),
    "plugs": (registry.PLUGS, PlugSpec),
}
"""Section of the file -> entry-point group, and the type of the constant that it holds."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A block on its way: ``spec`` is None if the kind is unknown, ``options`` None if they are wrong."""

    path: Path
    raw: Mapping[str, Any]
    spec: Any
    options: Options | None

    def get(self, key: str) -> object:
        """An option's value, its default included; of a wrong block, what the file says. ``a.b`` is ``b`` in block
        ``a``."""
        return attribute(self.options if self.options is not None else self.raw, key)


def attribute(block: object, key: str) -> Any:
    """A value by its path, None where there is none."""
    for part in key.split("."):
        block = block.get(part) if isinstance(block, Mapping) else getattr(block, part, None)
    return block


def find_spec(section: str, kind: str) -> Any:
    """The registered spec. Raises ``ValueError`` with a text for the operator."""
    group, wanted = SECTIONS[section]
    if kind not in registry.names(group):
        raise ValueError(f"kind {kind!r} is not registered; {suggest(kind, registry.names(group), what='registered')}")
    try:
        spec = registry.load(group, kind)
    except (ImportError, AttributeError) as error:  # a foreign package, or one that was not fully installed
        raise ValueError(
            f"kind {kind!r} is registered but cannot be loaded: {error}; is its package installed?"
        ) from None
    if not isinstance(spec, wanted):
        raise ValueError(f"kind {kind!r} is registered with a {type(spec).__name__}, not a {wanted.__name__}")
    return spec


def options_type(spec: Any) -> type[Options]:
    """The options of a kind; a provider's block has beside them those that are the same for every kind."""
    options: type[Options] = spec.options
    return _with_common(options) if isinstance(spec, ProviderSpec) else options


@cache
def _with_common(options: type[Options]) -> type[Options]:
    bases = options, UpstreamOptions
    return create_model(options.__name__, __base__=bases, __module__=options.__module__, __doc__=options.__doc__)


def check_blocks(section: str, raw: object, document: Document, context: dict[str, Any]) -> dict[str, Checked]:
    """Checks every block of a section; problems go to the document."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        document.problems.append((document.line((section,)), f"{section}: must be a block of named blocks"))
        return {}
    return {name: _check(section, name, block, document, context) for name, block in raw.items()}


def _check(section: str, name: str, raw: object, document: Document, context: dict[str, Any]) -> Checked:
    path: Path = (section, name)
    tell = _teller(document, path)
    if not isinstance(raw, dict):
        tell("must be a block with at least the key 'kind'")
        return Checked(path, {}, None, None)
    kind = raw.get("kind")
    if not isinstance(kind, str):
        group, _ = SECTIONS[section]
        tell(f"key 'kind' is missing; write one of {', '.join(registry.names(group))}")
        return Checked(path, raw, None, None)
    try:
        spec = find_spec(section, kind)
    except ValueError as error:
        document.problems.append((document.line((*path, "kind")), f"{show(path)}: {error}"))
        return Checked(path, raw, None, None)
    values = {key: value for key, value in raw.items() if key != "kind"}
    wanted = options_type(spec)
    try:
        return Checked(path, raw, spec, wanted.model_validate(values, context=context))
    except ValidationError as error:
        collect(error, wanted, document, path)
        return Checked(path, raw, spec, None)


def _teller(document: Document, path: Path) -> Callable[[str], None]:
    return lambda text: document.problems.append((document.line(path), f"{show(path)}: {text}"))


def as_blocks(checked: Mapping[str, Checked]) -> dict[str, Block]:
    """The blocks that are right."""
    return {name: Block(one.raw["kind"], one.options) for name, one in checked.items() if one.options is not None}
