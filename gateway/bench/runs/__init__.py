"""Runs: many calls by a plan, and the file that everything about them is written to.

plan       suites, and what the command line makes of them      objective  what a run must keep
shapes     how many callers when                                 schedule   when each call is due: fixed before the run
pacer      starts every call at its moment                       campaign   the run while it goes on
knee       the search for the largest load                       side       an agent that is called, and what came home
generator  how late the callers themselves were                  agent_file a gateway's configuration, moved to a run
faults/    what is done to an agent that the run has started      progress   what is shown meanwhile
figures    measurements to percentiles (HdrHistogram), with a confidence interval where the sample is small
conclusion figures, knee, verdict                                run_file   what a run leaves behind: typed, versioned
insight    what an agent that is Linecard has written down itself
run        all of it put together: ``linecard bench run`` and ``ab``
"""
