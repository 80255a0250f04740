"""Flags and experiments in YAML files: for development, and for importing definitions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from contracts.errors import ConfigurationError
from contracts.values import Value
from contracts.yaml_file import read_yaml
from flags.definitions import IGNORED_PERCENTAGE, Flag, FlagKey
from flags.evaluation import CompiledFlag
from flags.experiments.definitions import Experiment, ExperimentPlan


class FlagFile(Value):
    """`flags:` and under it each flag by its key, as `docs/flags.md` describes it."""

    flags: dict[FlagKey, Flag] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_written_once(cls, content: Any) -> Any:
        """Copy each flag's key from the mapping's key."""
        flags = content.get("flags") if isinstance(content, dict) else None
        if not isinstance(flags, dict):
            return content
        keyed = {key: {"key": key} | flag if isinstance(flag, dict) else flag for key, flag in flags.items()}
        return content | {"flags": keyed}


def read_flag_file(path: Path) -> Mapping[str, Flag]:
    """Return the flags of the file, by key.

    Raises:
        ConfigurationError: the file cannot be read, or has an unknown or invalid entry; each mistake is named with file
            and line.
    """
    file = read_yaml(path, FlagFile)
    for key, flag in file.value.flags.items():
        if flag.key != key:
            raise file.problem(f"the key of {key} is not {flag.key}: leave it out", "flags", key, "key")
        if flag.ignores_percentage:
            raise file.problem(f"{key}: {IGNORED_PERCENTAGE}", "flags", key, "percentage")
    return file.value.flags


class FileSource:
    """Source that reads a file again when it was saved; a file with mistakes leaves the earlier flags in force."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> Mapping[str, CompiledFlag]:
        """Raises ConfigurationError: as `read_flag_file`."""
        return {key: CompiledFlag(flag) for key, flag in read_flag_file(self._path).items()}

    async def stamp(self) -> str:
        try:
            found = self._path.stat()
        except OSError as exc:
            raise ConfigurationError(f"{self._path}: {exc.strerror}") from exc
        return f"{found.st_mtime_ns}-{found.st_size}"


class ExperimentFile(Value):
    """`experiment:` and under it the plan, as `docs/experiments.md` describes it."""

    experiment: ExperimentPlan


SAMPLE_EXPERIMENT = Path(__file__).parent / "samples" / "structured_prompts.yaml"


def read_experiment_file(path: Path) -> Experiment:
    """Return the experiment that the file plans, as a draft. Raises ConfigurationError: as `read_flag_file`."""
    return Experiment.model_validate(read_yaml(path, ExperimentFile).value.experiment.model_dump())
