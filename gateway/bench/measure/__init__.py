"""What is made of what callers sent and heard: figures, worked out from stamps.

onset      when sound began and ended in what was received
results    the turns of a call, from two lists of facts
outcome    what a call ended as, by name
inside     the gateway's own view, from its log, to be laid beside it
entry      a call as the run file writes it
"""
