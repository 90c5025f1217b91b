"""How long properties are looked for counterexamples: ``make fuzz`` looks longer than CI does."""

from __future__ import annotations

import os
from typing import Final

SCALE: Final = max(1, int(os.environ.get("LINECARD_FUZZ", "1")))
"""Times as many examples as in CI."""
