"""Several providers for one role: health shared by all calls, and per call a session that outlives its providers.

``breaker``, ``latency`` and ``gate`` are what the process knows of a provider, ``upstream`` puts them round it;
``failover`` is the machine that all roles share, ``stt``, ``llm``, ``tts`` and ``realtime`` what each adds to it, and
``session`` the sessions that the plugs see. Everything but ``upstream`` and ``session`` is without I/O.
"""
