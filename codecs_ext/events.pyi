__all__ = ["NAMES"]

NAMES: tuple[str, ...]
