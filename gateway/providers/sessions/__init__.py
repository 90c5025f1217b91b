"""The sessions that do the I/O of the dialects, once per family of protocols: a WebSocket that listens, speaks or does
both, and HTTP whose answer is a stream."""
