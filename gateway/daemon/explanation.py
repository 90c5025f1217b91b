"""``linecard explain``: reads an INVITE from a file, and shows on a terminal what would become of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NoReturn

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.call.decision import Decision, Inquiry, Policy, Step
from gateway.call.explain import Explanation, explain
from gateway.call.occupancy import Occupancy
from gateway.config import Config
from gateway.config.sip_block import parse_host_port
from gateway.errors import ConfigError, SdpError, SipError
from gateway.media.codecs.contract import Codecs
from gateway.sdp import SUITES, SrtpTerms, answer
from gateway.sip.auth import read_digest
from gateway.sip.auth_server import Verdict
from gateway.sip.checks import check_syntax
from gateway.sip.flow import Address
from gateway.sip.message import Request
from gateway.sip.parser import parse
from gateway.units import Nanos

__all__ = ["main"]

ACCEPTED, REFUSED = 0, 1
_LARGEST: Final = 1_000_000
_MARKS: Final = {True: "[green]✓[/]", False: "[red]✗[/]"}


def main(
    file: str,
    config: Config,
    source: str | None,
    transport: str | None,
    *,
    tls_names: Sequence[str] = (),
    console: Console | None = None,
) -> int:
    """0: the call would be taken, 1: it would be refused. Raises ``ConfigError`` for a file that is no INVITE."""
    console = console or Console(highlight=False, soft_wrap=True)
    request = _read(file)
    inquiry = Inquiry(
        request,
        _source(source, request),
        transport or ("tls" if tls_names else request.via.transport.lower()),
        names=frozenset(name.lower() for name in tls_names),
        login=_login(request, config),
    )
    policy = Policy(config.trunks, config.routes, config.limits)
    explanation = explain(inquiry, policy, Occupancy(), Nanos(0))
    media = _media(request, explanation, config)
    _show(console, inquiry, explanation, media, assumed=source is None)
    accepted = explanation.decision.accepted and (media is None or media.passed)
    return ACCEPTED if accepted else REFUSED


# --- what is read -----------------------------------------------------------------------------------------------------


def _read(file: str) -> Request:
    """A message as it is in a capture or a log: lines may end with LF alone, and the body may be cut."""
    try:
        data = sys.stdin.buffer.read(_LARGEST) if file == "-" else Path(file).read_bytes()[:_LARGEST]
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from None
    head, _, body = data.replace(b"\r\n", b"\n").lstrip(b"\n").partition(b"\n\n")
    try:
        message = parse(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body.replace(b"\n", b"\r\n"))
        if not isinstance(message, Request):
            _unusable(file, "is a response; give an INVITE")
        check_syntax(message)
    except SipError as error:
        _unusable(file, f"would be answered {error.status} {error.reason}: {error.rule}")
    if message.method != "INVITE":
        _unusable(file, f"is a request {message.method}; give an INVITE")
    return message


def _unusable(file: str, why: str) -> NoReturn:
    raise ConfigError([f"{file}: {why}"])


def _source(text: str | None, request: Request) -> Address:
    """Who sent it; by default what its topmost Via says, which a sender may write as it likes."""
    via = request.via
    host = via.parameters.get("received") or via.host.strip("[]")
    try:
        address, port = parse_host_port(text) if text else (host, via.port)
        ip_address(address)
    except ValueError:
        named = text or host
        raise ConfigError([f"--source: {named!r} is not an address; write --source 203.0.113.7:5060"]) from None
    return address, port or 5060


def _login(request: Request, config: Config) -> Verdict:
    """Credentials cannot be verified without the nonce's key: a user that a trunk knows is believed here."""
    users = {trunk.login.user for trunk in config.trunks if trunk.login is not None}
    for value in request.all("Authorization") if users else ():
        try:
            user = read_digest(value).get("username", "")
        except SipError:
            continue
        if user in users:
            return Verdict(user, "")
    return Verdict()


# --- what is shown ----------------------------------------------------------------------------------------------------


def _show(console: Console, inquiry: Inquiry, explanation: Explanation, media: Step | None, *, assumed: bool) -> None:
    by = " (taken from Via: give --source to be sure)" if assumed else ""
    console.print(f"[bold]INVITE {escape(inquiry.request.uri)}[/]")
    console.print(f"[dim]from {inquiry.source[0]}:{inquiry.source[1]} over {inquiry.transport}{by}[/]\n")
    table = Table.grid(padding=(0, 2))
    for step in [*explanation.steps, *([media] if media else [])]:
        table.add_row(_MARKS[step.passed], f"[bold]{step.question}[/]", escape(step.answer))
    console.print(table)
    if explanation.misses:
        console.print("\n[bold]not taken[/]")
        misses = Table.grid(padding=(0, 2))
        for miss in explanation.misses:
            misses.add_row(" ", f"[dim]{miss.kind}[/]", escape(miss.name), f"[dim]{escape(miss.why)}[/]")
        console.print(misses)
    trunk, user = explanation.decision.trunk, inquiry.login.user
    if user and trunk is not None and trunk.login is not None:
        console.print(
            f"\n[yellow]The password of {escape(user)} is not verified here[/]: the gateway checks its digest."
        )
    _show_answer(console, explanation.decision, media)


def _show_answer(console: Console, decision: Decision, media: Step | None) -> None:
    trunk, route = decision.trunk, decision.route
    if media is not None and not media.passed:
        console.print(f"\n[bold red]488 Not Acceptable Here[/]: {escape(media.answer)}")
    elif decision.accepted and trunk is not None and route is not None:
        console.print(f"\n[bold green]200 OK[/]: trunk {escape(trunk.name)}, plug {escape(route.plug)}")
    else:
        console.print(f"\n[bold red]{decision.status} {decision.reason}[/]: {escape(decision.rule)}")
        for name, value in decision.headers:
            console.print(f"[dim]{name}: {escape(value)}[/]")


def _media(request: Request, explanation: Explanation, config: Config) -> Step | None:
    """The last thing that can go wrong: whether the session can be agreed on. None for a call that is not taken."""
    trunk = explanation.decision.trunk
    if trunk is None or not explanation.decision.accepted:
        return None
    codecs = Codecs(trunk.codecs or config.media.codecs).formats
    if request.sdp is None:
        return Step("media", f"no offer: we offer {', '.join(one.name for one in codecs)} in our answer", passed=True)
    blank = {suite: bytes(size) for suite, size in SUITES.items()}
    keys = SrtpTerms(trunk.srtp, blank, trunk.srtp_keys, "sha-256 00")
    ours_first = trunk.codec_choice == "ours"
    try:
        agreed = answer(request.sdp, ("192.0.2.1", 4000), 1, codecs, srtp=keys, ours_first=ours_first).stream
    except SdpError as error:
        return Step("media", str(error), passed=False)
    secured = f", SRTP with {agreed.srtp.suite}" if agreed.srtp else ", SRTP with DTLS" if agreed.dtls else ""
    held = "" if agreed.send else ", on hold"
    host, port = agreed.remote
    return Step("media", f"{agreed.codec}/{agreed.clock} with {host}:{port}{secured}{held}", passed=True)
