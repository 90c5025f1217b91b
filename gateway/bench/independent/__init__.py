"""The same scenarios through a SIP and media stack that nobody here wrote: pjsua2.

phone   one call, in a process of its own    host   callers of a run, measured by the phone's own recordings
"""
