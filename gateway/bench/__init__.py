"""Synthetic callers that talk, and what they measure at the wire.

callers/    what a caller does, says and hears     measure/   the figures, worked out from stamps
terminal, waterfall, conversation, summary, verdict           what people see
call, demo  the commands                           children   the processes that the demo starts
"""
