"""``python -m gateway.cli``: the command line under the interpreter that runs it."""

from __future__ import annotations

import sys

from gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
