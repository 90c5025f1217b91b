"""SIP without I/O (RFC 3261): parser, transactions, dialogs, and the endpoint that composes them.

Order of reading: ``values`` and ``uri``, ``message``, ``parser``; ``transaction/``; ``dialog``; ``session``,
``incoming``, ``outgoing``; ``endpoint``.
"""
