"""The keys of DTLS-SRTP (RFC 5764): a certificate of ours, and one handshake without I/O.

OpenSSL does the handshake, through pyOpenSSL and with memory in the place of sockets, as aiortc's transport does it. It
is DTLS 1.2 at least (RFC 8827 6.5). Certificates are self-signed: what they are worth, the fingerprint in the
signalling says (RFC 5763 5).
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from gateway.errors import RemoteError
from gateway.sdp.types import DtlsPeer, SrtpKeys

__all__ = ["Association", "DtlsError", "Identity"]

_SUITES: Final = {
    b"SRTP_AEAD_AES_128_GCM": ("AEAD_AES_128_GCM", 12),
    b"SRTP_AES128_CM_SHA1_80": ("AES_CM_128_HMAC_SHA1_80", 14),
}
"""OpenSSL's names of the profiles, in the order of our preference: suite and salt (RFC 5764 4.1.2, RFC 7714 14.2)."""
_KEY: Final = 16
_CIPHERS: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA"
)
_DTLS_1_2: Final = 0xFEFD
_HEADER: Final = 13
_DATAGRAM: Final = 1200
"""Octets of ours: no path fragments them."""
_DAYS: Final = timedelta(days=365)


class DtlsError(RemoteError):
    """A handshake that cannot succeed any more; the text says why."""


class Identity:
    """A key and a self-signed certificate, made for this process: nobody keeps them."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(8))])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, self._key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + _DAYS)
        self._certificate = builder.sign(self._key, hashes.SHA256())

    @cached_property
    def fingerprint(self) -> str:
        """As ``a=fingerprint`` writes it (RFC 8122 5)."""
        digest = self._certificate.fingerprint(hashes.SHA256())
        return "sha-256 " + ":".join(f"{octet:02X}" for octet in digest)

    @cached_property
    def context(self) -> SSL.Context:
        """For every association. The far end has to show a certificate, and any will do: the fingerprint decides."""
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(self._certificate)
        context.use_privatekey(self._key)
        context.set_cipher_list(_CIPHERS)
        context.set_tlsext_use_srtp(b":".join(_SUITES))
        return context


class Association:
    """One handshake with one peer. Whoever drives it sends what ``outgoing`` gives after every other call, and calls
    ``on_timer`` when ``timeout`` is over. Raises ``DtlsError`` when it has failed, and nothing else."""

    def __init__(self, identity: Identity, peer: DtlsPeer) -> None:
        self.peer = peer
        self.keys: SrtpKeys | None = None
        """What it has made."""
        self.heard = False
        """Whether anything came."""
        self._ssl = SSL.Connection(identity.context)
        if peer.role == "active":
            self._ssl.set_connect_state()
        else:
            self._ssl.set_accept_state()

    def start(self) -> None:
        """Whose role is active opens the handshake."""
        if self.peer.role == "active":
            self._go_on()

    def receive(self, datagram: bytes) -> None:
        """One datagram of DTLS. After the handshake it may be a repetition, which is answered as the far end has missed
        our last flight; anything else is nothing to us."""
        if not datagram:  # an empty one is no end of anything, which it would be to OpenSSL
            return
        self.heard = True
        self._ssl.bio_write(datagram)
        if self.keys is None:
            self._go_on()
            return
        try:
            self._ssl.recv(_DATAGRAM)
        except SSL.Error:
            return  # nothing to read, or the far end's end of the association: the call ends by BYE

    def timeout(self) -> float | None:
        """Seconds until ``on_timer``; None: nothing waits."""
        return self._ssl.DTLSv1_get_timeout()

    def on_timer(self) -> None:
        """Repeats the last flight if its time has come (RFC 6347 4.2.4)."""
        try:
            self._ssl.DTLSv1_handle_timeout()
        except SSL.Error:
            raise DtlsError("DTLS: the far end does not answer") from None

    def outgoing(self) -> list[bytes]:
        """Datagrams to send now. OpenSSL writes records, of which some fit into one datagram."""
        try:
            data = self._ssl.bio_read(1 << 16)
        except SSL.Error:
            return []
        datagrams: list[bytes] = []
        start = 0
        while start < len(data):
            end = start + _HEADER + int.from_bytes(data[start + 11 : start + 13], "big")
            if datagrams and len(datagrams[-1]) + end - start <= _DATAGRAM:
                datagrams[-1] += data[start:end]
            else:
                datagrams.append(data[start:end])
            start = end
        return datagrams

    def _go_on(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            raise DtlsError(f"DTLS: the handshake failed ({_reason(error)})") from None
        self._check()
        self.keys = self._export()

    def _check(self) -> None:
        """Every fingerprint of a hash that we know has to be that of the certificate (RFC 8122 5)."""
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        shown = b"" if certificate is None else certificate.public_bytes(Encoding.DER)
        for name, value in self.peer.fingerprints:
            if hashlib.new(name.replace("-", ""), shown).digest() != value:
                raise DtlsError("DTLS: the certificate is not the one whose fingerprint was signalled (RFC 5763 5)")

    def _export(self) -> SrtpKeys:
        """RFC 5764 4.2: keys of client and server, then their salts."""
        found = _SUITES.get(self._ssl.get_selected_srtp_profile())
        if found is None:
            raise DtlsError("DTLS: no common SRTP profile (RFC 5764 4.1.1)")
        suite, salt = found
        block = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (_KEY + salt))
        client = block[:_KEY] + block[2 * _KEY : 2 * _KEY + salt]
        server = block[_KEY : 2 * _KEY] + block[2 * _KEY + salt :]
        ours, theirs = (client, server) if self.peer.role == "active" else (server, client)
        return SrtpKeys(suite, receive=theirs, send=ours)


def _reason(error: SSL.Error) -> str:
    """OpenSSL's own words."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(str(entry[-1]) for entry in queue if entry) or "closed by the far end"
