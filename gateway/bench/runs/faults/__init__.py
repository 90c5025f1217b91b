"""Faults on schedule, bounded, and only on processes that the bench has started.

options    what happens when, as YAML         proxy    between a gateway and its models: drop, slow down, 503
agent      the processes, and the verbs        clock    lets each fault happen at its time, and ends it
"""
