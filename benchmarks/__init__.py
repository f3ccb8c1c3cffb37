"""How long jitsilab and others take for the same work on the same captures: ``python -m benchmarks --help``."""
