"""SIP over TLS (RFC 3261 26.3, RFC 5922). Certificates are read again when their files change."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import ResourceError
from gateway.net.connection import Connection
from gateway.net.identity import identities, proves
from gateway.net.options import SignallingOptions, TlsTrust
from gateway.net.streams import StreamTransport, Wanted
from gateway.net.transport import Listen, Receiver, TransportSpec

__all__ = ["SPEC", "Contexts", "SipTls", "load_contexts"]


class Contexts:
    """The two sides' contexts. A change of the files is seen by the next handshake; connections that exist, and the
    calls on them, go on with what they have shaken hands on."""

    def __init__(self, options: TlsTrust) -> None:
        self._options = options
        self._stamp = self._read_stamp()
        self.server = self._make(ssl.PROTOCOL_TLS_SERVER)
        self.client = self._make(ssl.PROTOCOL_TLS_CLIENT)

    def _read_stamp(self) -> tuple[tuple[int, int], ...]:
        files = [path for path in (*(self._options.identity or ()), self._options.ca) if path is not None]
        stats = [path.stat() for path in files]
        return tuple((stat.st_mtime_ns, stat.st_ino) for stat in stats)

    def _make(self, side: int) -> ssl.SSLContext:
        options = self._options
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if options.identity is not None:
            context.load_cert_chain(*options.identity)
        context.check_hostname = False  # the host is checked by RFC 5922's rules, after the handshake
        if options.ca is not None:
            context.load_verify_locations(options.ca)
        else:
            context.load_default_certs()
        wanted = options.verify_server if side == ssl.PROTOCOL_TLS_CLIENT else options.asks_clients
        context.verify_mode = ssl.CERT_REQUIRED if wanted else ssl.CERT_NONE
        return context

    def believes(self, certificate: Mapping[str, Any] | None, host: str) -> bool:
        """Whether whoever has shown this speaks for ``host``."""
        options = self._options
        shown = certificate is not None and proves(certificate, host, wildcards=options.wildcards)
        return shown or not options.verify_server

    def refresh(self) -> None:
        """Raises ``OSError`` (``ssl.SSLError`` is one) and keeps the old ones if the files are not good."""
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp  # also if they are bad: once is enough to be told
        server, client = self._make(ssl.PROTOCOL_TLS_SERVER), self._make(ssl.PROTOCOL_TLS_CLIENT)
        self.server, self.client = server, client


class SipTls(StreamTransport):
    """Streams whose peers prove who they are: servers always, clients if ``sip.tls.verify_client`` says so."""

    def __init__(self, listen: Listen, options: SignallingOptions, receiver: Receiver, contexts: Contexts) -> None:
        super().__init__(listen, options, receiver)
        self._contexts = contexts

    def server_context(self) -> ssl.SSLContext:
        """The context that accepts; each handshake asks for the newest one."""
        context = self._contexts.server
        context.sni_callback = self._newest
        return context

    def client_context(self) -> ssl.SSLContext:
        self._refresh()
        return self._contexts.client

    def objection(self, connection: Connection, wanted: Wanted) -> str:
        """A peer that we have called must prove the host that was asked for, for each request anew: two domains may
        share an address. One that has called us is answered, whoever it is. If its connection is gone, its Via and
        Contact say where to connect to, often as an address, which few certificates name: the peer is also who proves
        what it has proved then (mutual TLS)."""
        certificate, host = connection.certificate, wanted.host
        if connection.accepted or self._contexts.believes(certificate, host):
            return ""
        if certificate and wanted.names & identities(certificate):
            return ""
        names = ", ".join(sorted(identities(certificate))) if certificate else "nobody"
        return f"TLS: the certificate is not for {host} but for {names} (RFC 5922 7)"

    def _newest(self, tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
        self._refresh()
        tls.context = self._contexts.server

    def _refresh(self) -> None:
        try:
            self._contexts.refresh()
        except OSError as error:
            self._loop.call_exception_handler(
                {"message": "sip.tls: the changed files cannot be used; the old certificate stays", "exception": error}
            )


def load_contexts(listen: Listen, options: SignallingOptions) -> Contexts:
    """Raises ``ResourceError`` if the files are not there or not good."""
    if options.trust is None:
        raise ResourceError(f"cannot listen on {listen}: sip.tls names no certificate and key")
    try:
        return Contexts(options.trust)
    except OSError as error:
        raise ResourceError(f"cannot listen on {listen}: sip.tls: {error.strerror or error}") from None


async def _open(listen: Listen, options: SignallingOptions, receiver: Receiver) -> SipTls:
    transport = SipTls(listen, options, receiver, load_contexts(listen, options))
    await transport.listen()
    return transport


SPEC: Final = TransportSpec("tls", default_port=5061, open=_open)
