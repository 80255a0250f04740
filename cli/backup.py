"""`prosa backup` and `prosa restore`: everything of a store in one file with a checksum, and back."""

import hashlib
from collections import Counter
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from rich.progress import MofNCompleteColumn, Progress, TextColumn

from adapters.clock import SystemClock
from cli.migration import settings_of
from cli.output import console
from contracts.errors import ConfigurationError, WorkerError
from contracts.settings import Settings
from worker.backends import open_backend
from worker.migration.conversations import Migration, Place
from worker.migration.everything import UNREADABLE, copy_everything


class DamagedBackupError(WorkerError):
    """The file of a backup is not the one that was written."""


async def back_up(settings: Settings, file: Path, *, quiet: bool) -> dict[str, int]:
    """Write a new file, and its checksum as `sha256sum` reads it; return what was copied.

    Raises:
        ConfigurationError: the file exists already.
    """
    unfinished = _unfinished(file)
    async with open_backend(settings) as live, open_backend(settings_of(settings, f"sqlite:{unfinished}")) as copy:
        counts = await _copied(Place("live", live), Place("backup", copy), replacing=False, quiet=quiet)
    unfinished.rename(file)
    checksum_of(file).write_text(f"{_sha256(file)}  {file.name}\n", encoding="utf-8")
    return counts


async def restore(settings: Settings, file: Path, *, replace: bool, quiet: bool) -> dict[str, int]:
    """Bring everything of the file back into the store of the settings; workers should not run.

    Raises:
        DamagedBackupError: the file differs from its checksum, or has none.
        ConfigurationError: the store holds conversations or messages, and `replace` is not given.
    """
    with TemporaryDirectory(prefix="prosa-restore-") as folder:
        backup = settings_of(settings, f"sqlite:{_verified_copy(file, Path(folder))}")
        async with open_backend(settings) as live, open_backend(backup) as copy:
            if not replace and (await live.inbox.depth() or (await live.store.conversations.find(limit=1)).items):
                message = f"{settings.store_name} is in use: --replace puts the backup over what it holds"
                raise ConfigurationError(message)
            return await _copied(Place("backup", copy), Place("live", live), replacing=replace, quiet=quiet)


def checksum_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")


def _unfinished(file: Path) -> Path:
    if file.exists():
        raise ConfigurationError(f"{file} exists already: give another name")
    unfinished = file.with_name(f"{file.name}.part")
    unfinished.unlink(missing_ok=True)
    return unfinished


def _verified_copy(file: Path, folder: Path) -> Path:
    """Copy the file, since opening it may bring its tables up to date; compare the copy with the checksum."""
    try:
        copy = Path(copyfile(file, folder / "backup"))
        expected = checksum_of(file).read_text(encoding="utf-8").split()[:1]
    except OSError as exc:
        raise DamagedBackupError(f"{file} or its .sha256 cannot be read: {exc.strerror}") from exc
    if [_sha256(copy)] != expected:
        raise DamagedBackupError(f"{file} is not as it was written: take an earlier backup")
    return copy


async def _copied(source: Place, target: Place, *, replacing: bool, quiet: bool) -> dict[str, int]:
    migration = Migration(source, target, shares_inbox=False)
    counts = Counter[str]()
    columns = (TextColumn("{task.description}"), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        line = progress.add_task("copied", total=None)
        async for outcome in copy_everything(migration, at=SystemClock().now(), replacing=replacing):
            counts[outcome] += 1
            progress.advance(line)
    return dict(counts)


def differences(counts: dict[str, int]) -> int:
    """Return the number of things that did not arrive as they were."""
    return sum(count for name, count in counts.items() if name == UNREADABLE or name.endswith("different"))


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
