"""Synthetic callers that talk, and what they measure at the wire.

callers/    what a caller does, says and hears     measure/   the figures, worked out from stamps
terminal, waterfall, conversation, summary, verdict           what people see
runs/       many calls by a plan, faults, the run file
call, demo  the commands                           children   the processes that demo and runs start
independent/  callers through a stack that is not ours
"""
