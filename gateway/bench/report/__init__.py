"""What a run looks like: tables for a terminal, one HTML file for people, and the difference between two runs.

run file ──▶ facts.py (which values belong to a figure) ──▶ charts.py, course.py ──▶ page.py, data/*.j2
                                                        ──▶ samples.py ──▶ compare.py ──▶ a verdict and its table
"""
