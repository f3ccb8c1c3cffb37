"""All that is known of a recording, opened once a process: what one test has made of it, the next one has.

Files that import this go to one process (conftest.py). A test that changes a call opens its own.
"""

from functools import cache

import jitsilab as jl


@cache
def named(name: str, point: str | None = None, use_keylog: bool = True) -> jl.Call:
    """All evidence of a recording of data/, or one capture of it."""
    return jl.load(name, point=point, use_keylog=use_keylog)
