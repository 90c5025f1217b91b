"""Kernels of the media path, in Cython: nothing here holds the GIL while a packet is handled.

``shard`` is the thread that owns sockets and clock, ``plane`` its Python face; every other module is one concern
of a packet's way, usable and tested alone. The ``.pxd`` files are the contract between them.
"""
