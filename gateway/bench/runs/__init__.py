"""Runs: many calls by a plan, and the file that everything about them is written to.

run_file   what a run leaves behind: typed, versioned, written atomically
figures    measurements to percentiles (HdrHistogram), with a confidence interval where the sample is small
"""
