"""Bytes in, frozen dataclasses out: decoders by the specifications, standard library only."""
