"""Linecard: a real-time SIP/RTP media gateway for voice AI. The model is a plug, the network is the socket."""

__version__ = "0.1.0"
