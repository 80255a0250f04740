"""Corrections of the assistant's classification by agents, as metric events of experiments."""

from collections.abc import Iterable

from contracts.delivery import TurnCommit
from flags.experiments.recorder import Recorder
from flags.resolver import Assignment

# -1 takes a classification's event of value 1 back, so that the sums are a share.
CLASSIFICATION_HELD, CORRECTION = "classification_held", "correction"
CORRECTED = ((CORRECTION, 1.0), (CLASSIFICATION_HELD, -1.0))


def note_correction(commit: TurnCommit, recorder: Recorder) -> None:
    """Record the correction that a move brings about, in the arms in which it was classified."""
    corrects = commit.turn.corrects if commit.turn else None
    if corrects is not None:
        for metric, value in CORRECTED:
            recorder.note(assignments_of(corrects.arms), commit.conversation.id, metric, value)


def assignments_of(arms: Iterable[str]) -> list[Assignment]:
    return [Assignment(*arm.split("=", 1)) for arm in arms]
