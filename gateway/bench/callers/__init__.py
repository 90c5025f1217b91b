"""Synthetic callers: what each does, says and hears.

scenario   what a caller does           speech, voice   its words, made ahead of time
caller     one call                     host            the SIP endpoint and media plane of many
ear        what it hears, and when      recording       the call as a stereo file
through    the way out through a trunk of a configuration
"""
