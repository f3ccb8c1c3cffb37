"""Captures of recordings, each opened once a process, as calls.py opens whole recordings."""

from functools import cache
from pathlib import Path

import jitsilab as jl


@cache
def captured(folder: Path, point: str = "eth0", keys: bool = True) -> jl.Call:
    """One capture of an exported recording, with its keys or without."""
    return jl.load(folder / f"capture-{point}.pcapng", folder / "keys.txt" if keys else None)
