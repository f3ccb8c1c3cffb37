"""What hostile input may cost: processor time, which a busy machine does not stretch as it does the clock's."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def processor(seconds: float) -> Iterator[None]:
    """What runs inside ends within so much processor time of this process; a bound that tells a hang from work."""
    begin = time.process_time()
    yield
    spent = time.process_time() - begin
    assert spent < seconds, f"{spent:.1f} s of processor time, at most {seconds:g} s were allowed"
