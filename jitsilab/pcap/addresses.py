"""IP addresses as small numbers: a column of codes, and text only for those that occur."""

import socket

import numpy as np
import numpy.typing as npt

from jitsilab.pcap.links import V4

_MIX = np.uint64(0x9E3779B97F4A7C15)


class AddressBook:
    """Gives each address a code from 0, in the order of first sight within a chunk of frames."""

    def __init__(self) -> None:
        self._codes: dict[tuple[int, int], int] = {}
        self._texts: list[str] = []
        self._hash = np.zeros(0, np.uint64)  # sorted; with the rows below a table that numpy can search
        self._words = np.zeros((0, 2), np.uint64)
        self._code = np.zeros(0, np.int32)

    def __len__(self) -> int:
        return len(self._codes)

    def codes(self, words: npt.NDArray[np.uint64], has: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
        """Codes of addresses given as two 64-bit words each; -1 where ``has`` is false."""
        out = np.full(len(words), -1, np.int32)
        rows = np.flatnonzero(has)
        wanted = words[rows]
        codes, missing = self._find(wanted)
        if missing.any():
            self._learn(wanted[missing])
            codes, missing = self._find(wanted)
            for i in np.flatnonzero(missing).tolist():  # two addresses with one hash: not by chance
                codes[i] = self._codes[int(wanted[i, 0]), int(wanted[i, 1])]
        out[rows] = codes
        return out

    def texts(self) -> list[str]:
        """Addresses as text by code; IPv6 as RFC 5952 has it."""
        if len(self._texts) < len(self._codes):
            for high, low in list(self._codes)[len(self._texts) :]:
                if high == int(V4) and low < 1 << 32:
                    self._texts.append(socket.inet_ntop(socket.AF_INET, low.to_bytes(4)))
                else:
                    self._texts.append(socket.inet_ntop(socket.AF_INET6, high.to_bytes(8) + low.to_bytes(8)))
        return self._texts

    def _find(self, wanted: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        if not len(self._hash):
            return np.full(len(wanted), -1, np.int32), np.ones(len(wanted), bool)
        at = np.searchsorted(self._hash, _hash(wanted))
        at[at == len(self._hash)] = 0
        return self._code[at], (self._words[at] != wanted).any(axis=1)

    def _learn(self, words: npt.NDArray[np.uint64]) -> None:
        _, where = np.unique(_hash(words), return_index=True)
        firsts = words[np.sort(where)]
        if len(firsts) < len(words):  # those whose hash another one has
            hashes = _hash(firsts)
            order = np.argsort(hashes)
            at = order[np.searchsorted(hashes, _hash(words), sorter=order)]
            clash = (firsts[at] != words).any(axis=1)
            if clash.any():
                firsts = np.concatenate([firsts, words[clash]])
        for high, low in firsts.tolist():
            self._codes.setdefault((high, low), len(self._codes))
        known = np.array(list(self._codes), np.uint64).reshape(-1, 2)
        hashes = _hash(known)
        order = np.argsort(hashes, kind="stable")
        self._hash, self._words, self._code = hashes[order], known[order], order.astype(np.int32)


def _hash(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mixed = words[:, 0] * _MIX ^ words[:, 1] * np.uint64(0xC2B2AE3D27D4EB4F)
    return np.asarray(mixed ^ mixed >> np.uint64(29))
