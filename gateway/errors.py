"""Every exception of the house, drawn as one tree.

LinecardError
├── ConfigError          the operator's file is wrong; holds one line per problem
├── MisuseError          we called our own code wrongly; a bug, never caused by a peer
├── ResourceError        the machine has no more of something (port, descriptor, room in a queue)
└── RemoteError          a peer misbehaved; the documented answer to anything that comes from the wire
    ├── SipError         a SIP message that cannot be accepted; knows the answer it deserves
    ├── SdpError         a session description that cannot be accepted
    └── ProviderError    a model provider failed; transient (try again, try another) or permanent
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "LinecardError",
    "MisuseError",
    "ProviderError",
    "RemoteError",
    "ResourceError",
    "SdpError",
    "SipError",
]


class LinecardError(Exception):
    """Root of the tree; never raised itself."""


class ConfigError(LinecardError):
    """The configuration cannot be used. ``problems`` holds one ``file:line: what, and what to do`` per problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class MisuseError(LinecardError):
    """Our own code broke a contract, for example a verb that the state does not allow."""


class ResourceError(LinecardError):
    """No port, descriptor or room left. The text says which limit was met and where it is set."""


class RemoteError(LinecardError):
    """A peer sent what it must not send."""


class SipError(RemoteError):
    """A SIP message that cannot be accepted.

    ``status`` and ``reason`` are the response it deserves, ``rule`` names what was broken (``RFC 3261 8.1.1.5``) for
    the ``Warning`` header and the log line, ``headers`` are those that the response carries besides.
    """

    def __init__(self, status: int, reason: str, rule: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{status} {reason}: {rule}")
        self.status = status
        self.reason = reason
        self.rule = rule
        self.headers = headers


class SdpError(RemoteError):
    """A session description that cannot be accepted; ``warning`` is the RFC 3261 20.43 warn-code that tells why."""

    def __init__(self, text: str, warning: int = 399) -> None:
        super().__init__(text)
        self.warning = warning


class ProviderError(RemoteError):
    """A model provider failed.

    ``transient`` says whether another attempt or another provider may help (stall, drop, 429, 5xx) or whether nothing
    will change until somebody mends the configuration (bad key, unknown voice). ``busy`` marks the transient ones that
    mean "too much at once" (429, a quota of concurrent sessions): the provider is well, and gets less to do.
    ``retry_after`` is the pause in nanoseconds that the provider itself asked for (Retry-After and its kin).
    """

    def __init__(
        self, provider: str, text: str, *, transient: bool, busy: bool = False, retry_after: int | None = None
    ) -> None:
        super().__init__(f"{provider}: {text}")
        self.provider = provider
        self.transient = transient
        self.busy = busy
        self.retry_after = retry_after
