"""Nearest of some thousand vectors, by one matrix product. Imported only where the semantic level is on: numpy."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ConfigurationError

FIRST_ROWS = 64
MOST_ROWS = 10_000


@dataclass(frozen=True)
class Near:
    """Key of a row, and its cosine to the query."""

    key: str
    similarity: float


class VectorIndex:
    """Unit vectors of one scope, `width` long, with their texts' signatures; the newest replaces the oldest."""

    def __init__(self, width: int, *, most: int = MOST_ROWS) -> None:
        self._width = width
        self._most = most
        self._matrix: NDArray[np.float32] = np.zeros((min(FIRST_ROWS, most), width), dtype=np.float32)
        self._signatures: list[str] = []
        self._keys: list[str] = []
        self._rows: dict[str, int] = {}
        self._next = 0
        self.last_number = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, key: str, signature: str, vector: bytes, *, number: int) -> None:
        """Add a row, or replace the one of that key. Raises ConfigurationError: the vector has another width."""
        if key in self._rows:
            row = self._rows[key]
        elif len(self._keys) < self._most:
            row = len(self._keys)
            self._keys.append("")
            self._signatures.append("")
            if len(self._keys) > len(self._matrix):
                more = np.zeros((min(2 * len(self._matrix), self._most), self._width), dtype=np.float32)
                more[: len(self._matrix)] = self._matrix
                self._matrix = more
        else:
            row, self._next = self._next, (self._next + 1) % self._most
            if self._rows.get(self._keys[row]) == row:
                del self._rows[self._keys[row]]
        self._matrix[row] = self._vector(vector)
        self._signatures[row], self._keys[row], self._rows[key] = signature, key, row
        self.last_number = max(self.last_number, number)

    def remove(self, key: str) -> None:
        self._rows.pop(key, None)

    def nearest(self, vector: bytes, *, threshold: float, signature: str | None) -> tuple[Near | None, bool]:
        """Return the most similar row with that signature, if it reaches `threshold`, and whether one with another
        signature was nearer. `signature` None: any.
        """
        similar = self._matrix[: len(self._keys)] @ self._vector(vector)
        reaching = np.flatnonzero(similar >= threshold)
        is_refused = False
        for row in reaching[np.argsort(-similar[reaching], kind="stable")]:
            if self._rows.get(self._keys[row]) != row:
                continue
            if signature is None or self._signatures[row] == signature:
                return Near(self._keys[row], min(1.0, float(similar[row]))), is_refused
            is_refused = True
        return None, is_refused

    def _vector(self, raw: bytes) -> NDArray[np.float32]:
        vector = np.frombuffer(raw, dtype="<f4")
        if vector.shape != (self._width,):
            raise ConfigurationError(f"a vector of {vector.size} numbers where there should be {self._width}")
        return vector


class Indexes:
    """Indexes by scope, the least recently used dropped."""

    def __init__(self, width: int, *, most_scopes: int = 64) -> None:
        self._width = width
        self._most_scopes = most_scopes
        self._indexes: OrderedDict[str, VectorIndex] = OrderedDict()

    def of(self, scope: str) -> VectorIndex:
        if scope not in self._indexes:
            self._indexes[scope] = VectorIndex(self._width)
        self._indexes.move_to_end(scope)
        if len(self._indexes) > self._most_scopes:
            self._indexes.popitem(last=False)
        return self._indexes[scope]
