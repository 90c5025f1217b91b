"""Kernels of the media path, in Cython: nothing here holds the GIL while a packet is handled.

``plane`` is the thread that owns the sockets and the clock; every other module is one concern of a packet's way, usable and
tested alone. The ``.pxd`` files are the contract between them.
"""
