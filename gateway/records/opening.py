"""From the block ``records`` to the stores that it asks for."""

from __future__ import annotations

from gateway.records.database import Database
from gateway.records.jsonl import JsonLines
from gateway.records.options import RecordOptions
from gateway.records.writer import Records, Store

__all__ = ["open_records"]


def open_records(options: RecordOptions, *more: Store) -> Records:
    """The stores that the configuration asks for, and others; ``start`` opens them."""
    stores = list(more)
    if (path := options.database_file) is not None:
        stores.append(Database(path, keep=options.keep, keep_speech=options.keep_speech, redact=options.redact))
    if options.file is not None:
        stores.append(JsonLines(options.file, redact=options.redact))
    return Records(stores)
