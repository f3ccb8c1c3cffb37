"""Verdicts: checks of the theory, of security, and the causes of missing media, all as data for one engine."""
