"""Coverage-guided fuzzing of whatever reads strangers' bytes: ``python -m fuzz --help``."""
