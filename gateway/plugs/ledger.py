"""What a call's providers did and cost: gathered from the router's notices, given out per turn and for the whole
call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from gateway.providers.contract import Usage
from gateway.providers.router.effects import Lost, Moved, Shadowed, Spent
from gateway.providers.router.options import PriceOptions
from gateway.providers.router.session import Notice
from gateway.providers.router.upstream import Upstream
from gateway.units import to_ms

__all__ = ["Ledger", "price"]


@dataclass(slots=True)
class _Account:
    """Of one provider in one role and part."""

    seconds: float = 0.0
    characters: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    def add(self, usage: Usage, prices: PriceOptions) -> None:
        self.seconds += usage.seconds
        self.characters += usage.characters
        self.input_tokens += usage.input_tokens
        self.cached_tokens += usage.cached_tokens
        self.output_tokens += usage.output_tokens
        self.cost += price(usage, prices)

    def fields(self) -> dict[str, Any]:
        """What is not zero; the cost always."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        shown = {name: round(value, 8) for name, value in values.items() if value}
        return {**shown, "cost": round(self.cost, 8)}


def price(usage: Usage, prices: PriceOptions) -> float:
    """In the currency that the prices are written in."""
    cached_price = prices.input_tokens_1m if prices.cached_tokens_1m is None else prices.cached_tokens_1m
    fresh = max(0, usage.input_tokens - usage.cached_tokens)
    tokens = fresh * prices.input_tokens_1m + usage.cached_tokens * cached_price
    tokens += usage.output_tokens * prices.output_tokens_1m
    spoken = usage.characters * prices.characters_1k / 1_000
    return tokens / 1_000_000 + spoken + usage.seconds * prices.audio_minute / 60


_Accounts = dict[tuple[str, str, str], _Account]


class Ledger:
    """``note`` takes every notice; ``turn`` gives what came since the last turn, ``call`` all of it."""

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self._upstreams = upstreams
        self._turn: _Accounts = {}
        self._call: _Accounts = {}
        self._moves: list[dict[str, Any]] = []
        self._moved = 0
        self._shadows: list[dict[str, Any]] = []

    def note(self, notice: Notice) -> None:
        match notice:
            case Spent(role, provider, usage, part):
                prices = self._upstreams[provider].prices
                for accounts in (self._turn, self._call):
                    accounts.setdefault((role, provider, part), _Account()).add(usage, prices)
            case Moved(role, source, target, reason, waited):
                self._moved += 1
                move = {"role": role, "from": source, "to": target, "reason": reason, "waited_ms": to_ms(waited)}
                self._moves.append(move)
            case Shadowed(role, provider, _, text, first, total, error):
                shown = {
                    "role": role,
                    "provider": provider,
                    "text": text,
                    "first_ms": _ms(first),
                    "total_ms": _ms(total),
                }
                self._shadows.append({**shown, "error": error} if error else shown)
            case Lost():
                pass

    def turn(self) -> dict[str, Any]:
        """The fields of a turn's record; what is empty is left out."""
        accounts, self._turn = self._turn, {}
        moves, self._moves = self._moves, []
        shadows, self._shadows = self._shadows, []
        shown: dict[str, Any] = {"usage": _listed(accounts), "cost": _sum(accounts)} if accounts else {}
        if moves:
            shown["failovers"] = moves
        if shadows:
            shown["shadow"] = shadows
        return shown

    def call(self) -> dict[str, Any]:
        """The fields of the call's record."""
        if not self._call:
            return {}
        return {"usage": _listed(self._call), "cost": _sum(self._call), "failovers": self._moved}


def _listed(accounts: _Accounts) -> list[dict[str, Any]]:
    return [
        {"role": role, "provider": provider, **({} if part == "won" else {"part": part}), **account.fields()}
        for (role, provider, part), account in accounts.items()
    ]


def _sum(accounts: _Accounts) -> float:
    return round(sum(account.cost for account in accounts.values()), 8)


def _ms(span: int | None) -> float | None:
    return None if span is None else to_ms(span)
