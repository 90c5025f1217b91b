"""Messages that the fuzz tests start from: ordinary ones, and what RFC 4475 does to them."""

from __future__ import annotations

from gateway.sdp import offer

__all__ = ["MESSAGES"]

SDP = offer(("127.0.0.1", 20000), 1)


def _message(text: str, body: bytes = b"") -> bytes:
    return text.strip().replace("\n", "\r\n").encode() + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


INVITE = _message(
    """
INVITE sip:pizza@127.0.0.1:5060 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-1;rport
Via: SIP/2.0/UDP 10.1.1.1:5070;branch=z9hG4bK-0, SIP/2.0/TCP [2001:db8::9]:5070;received=1.2.3.4;branch=z9hG4bK-x
Record-Route: <sip:p2.example.com;lr>, <sip:p1.example.com;lr>
Max-Forwards: 70
From: "Alice, \\"A\\" <not me>" <sip:alice@127.0.0.1:5070;user=phone>;tag=1928301774
To: <sip:pizza@127.0.0.1:5060>
Call-ID: a84b4c76e66710@127.0.0.1
CSeq: 314159 INVITE
Contact: "A" <sip:alice@127.0.0.1:5070>;expires=30
Accept: application/sdp;level=1, text/plain
Content-Type: application/sdp
""",
    SDP,
)

COMPACT = _message(
    """
INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
f: "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
i: wsinv.ndaksdj@192.0.2.1
cseq: 0009
  INVITE
v:  SIP  / 2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
c: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
m:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33
""",
    SDP,
)

OK = _message(
    """
SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое
Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
From: <sip:user@example.com>;tag=11141343
To: <sip:user@example.com>;tag=2229
Call-ID: unreason.1234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
Contact: <sip:user@host198.example.com>
Content-Type: application/sdp
""",
    SDP,
)

BYE = _message(
    """
BYE sip:pizza@127.0.0.1:5060 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-2
From: <sip:alice@127.0.0.1>;tag=1
To: <sip:pizza@127.0.0.1>;tag=2
Call-ID: x
CSeq: 2 BYE
Reason: Q.850;cause=16;text="normal; clearing"
"""
)

OPTIONS = _message(
    """
OPTIONS sip:127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-3
From: <sip:a@127.0.0.1>;tag=1
To: <sip:127.0.0.1>
Call-ID: y
CSeq: 1 OPTIONS
"""
)

MESSAGES = [INVITE, COMPACT, OK, BYE, OPTIONS]
