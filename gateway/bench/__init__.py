"""Synthetic callers that talk, and what they measure at the wire.

scenario   what a caller does           speech, voice   its words, made ahead of time
caller     one call                     host            the SIP endpoint and media plane of many
ear, onset what it hears, and when      results         the figures, worked out from stamps
inside     the gateway's view, from its log, to be laid beside it
terminal, waterfall, conversation, summary, verdict     what people see
call, demo the commands                 children        the processes that the demo starts
"""
