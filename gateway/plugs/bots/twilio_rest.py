"""The part of Twilio's REST API with which its bots end and transfer the calls that they are in.

``POST /2010-04-01/Accounts/{sid}/Calls/{call}.json`` with ``Status=completed`` or ``Twiml=``, and ``GET`` of the same
(twilio.com/docs/voice/api/call-resource). Of TwiML, ``<Hangup>`` and ``<Dial>`` are understood.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, ParseError

import structlog
from aiohttp import web
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from gateway.errors import MisuseError
from gateway.plugs.bots.session import BotSession

__all__ = ["TwilioRest", "read_twiml"]

_LARGEST: Final = 64 * 1024
_NOT_FOUND, _REFUSED, _BAD = 20404, 20003, 21200
"""Twilio's own error codes, which bots look at."""


@dataclass(frozen=True, slots=True)
class Dial:
    """TwiML that sends the caller elsewhere: a SIP or tel URI."""

    target: str


class TwilioRest:
    """Serves the calls of one plug, by their CallSid."""

    def __init__(self, account: str, token: str) -> None:
        self._account = account
        login = base64.b64encode(f"{account}:{token}".encode()).decode()
        self._password = f"Basic {login}" if token else ""
        """The whole header that a request must carry (RFC 7617 2); empty: none."""
        self._calls: dict[str, BotSession] = {}
        self._log = structlog.get_logger()

    def add(self, sid: str, session: BotSession) -> None:
        """Until the session is closed."""

        def forget() -> None:
            self._calls.pop(sid, None)

        self._calls[sid] = session
        session.on_close = forget

    async def serve(self, host: str, port: int) -> None:
        """Until it is cancelled. An address that cannot be had is one line in the log, and costs no call."""
        application = web.Application(client_max_size=_LARGEST)
        path = f"/2010-04-01/Accounts/{self._account}/Calls/{{sid}}.json"
        application.router.add_post(path, self._on_update)
        application.router.add_get(path, self._on_question)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            self._log.info("twilio.rest", url=f"http://{host}:{runner.addresses[0][1]}")
            await asyncio.Event().wait()
        except OSError as error:
            self._log.error("twilio.rest.failed", listen=f"{host}:{port}", reason=error.strerror or str(error))
        finally:
            await runner.cleanup()

    # --- requests -----------------------------------------------------------------------------------------------------

    async def _on_question(self, request: web.Request) -> web.Response:
        session = self._allowed(request)
        return session if isinstance(session, web.Response) else self._state(request, "in-progress")

    async def _on_update(self, request: web.Request) -> web.Response:
        session = self._allowed(request)
        if isinstance(session, web.Response):
            return session
        form = await request.post()
        if form.get("Status") in {"completed", "canceled"}:
            session.call.hang_up("the bot hung up")
            return self._state(request, "completed")
        twiml = form.get("Twiml")
        if not isinstance(twiml, str):
            return _error(400, _BAD, "Status=completed or Twiml is understood, nothing else")
        try:
            wanted = read_twiml(twiml)
        except ValueError as error:
            return _error(400, _BAD, str(error))
        if wanted is None:
            session.call.hang_up("the bot hung up")
            return self._state(request, "completed")
        session.call.spawn(_transfer(session, wanted.target))
        return self._state(request, "in-progress")

    def _allowed(self, request: web.Request) -> BotSession | web.Response:
        """The session that is meant, or why there is none."""
        given = request.headers.get("Authorization", "")
        if self._password and not hmac.compare_digest(given.encode(), self._password.encode()):
            return _error(401, _REFUSED, "Authenticate", {"WWW-Authenticate": 'Basic realm="Twilio API"'})
        sid = request.match_info["sid"]
        return self._calls.get(sid) or _error(404, _NOT_FOUND, f"The requested resource {request.path} was not found")

    def _state(self, request: web.Request, status: str) -> web.Response:
        return web.json_response({"sid": request.match_info["sid"], "account_sid": self._account, "status": status})


def read_twiml(text: str) -> Dial | None:
    """Whom to dial, or None to hang up. Raises ``ValueError`` for what is not understood."""
    try:
        response = fromstring(text)
    except (ParseError, DefusedXmlException) as error:
        raise ValueError(f"Twiml cannot be read: {error}") from error
    for verb in response:
        if verb.tag == "Hangup":
            return None
        if verb.tag == "Dial":
            return Dial(_target(verb))
    raise ValueError("Twiml holds neither <Dial> nor <Hangup>")


def _target(dial: Element) -> str:
    noun = next(iter(dial), dial)
    text = (noun.text or "").strip()
    if noun.tag == "Sip":
        return text
    if noun.tag not in {"Dial", "Number"} or not text:
        raise ValueError(f"<Dial> of <{noun.tag}> is not understood; write a number, <Number> or <Sip>")
    return f"tel:{text}"


async def _transfer(session: BotSession, target: str) -> None:
    try:
        result = await session.call.transfer(target)
    except MisuseError as error:
        session.call.log("bot.transfer", status=None, reason=str(error))
        return
    session.call.log("bot.transfer", status=result.status, reason=result.reason)


def _error(status: int, code: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"status": status, "code": code, "message": text}, status=status, headers=headers)
