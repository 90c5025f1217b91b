"""The configuration file: read, checked as a whole, every problem with its line.

config = load("config/linecard.yaml")     # ConfigError: one "file:line: what; what to do" per problem
"""

from __future__ import annotations

from gateway.config.loader import load, loads
from gateway.config.model import Block, Config, LogOptions

__all__ = ["Block", "Config", "LogOptions", "load", "loads"]
