"""The institution a process works with, and the way to take up documents that were edited."""

from pathlib import Path

from context.loader import load_institution
from contracts.institution import Institution


class InstitutionSource:
    """Holds what was loaded last; documents that do not hold what they must leave it as it was."""

    def __init__(self, folder: Path) -> None:
        """Load the documents. Raises InstitutionError: the documents have problems."""
        self._folder = folder
        self._current = load_institution(folder)

    @property
    def current(self) -> Institution:
        return self._current

    def reload(self) -> Institution:
        """Read the documents again and return what they say now.

        Raises:
            InstitutionError: the documents have problems; `current` stays what it was.
        """
        self._current = load_institution(self._folder)
        return self._current
