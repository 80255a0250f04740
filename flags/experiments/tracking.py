"""OpenFeature's `track`: an application's observation of a person as a metric event of the person's experiments."""

import re

from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails

from flags.definitions import EVENT_NAME
from flags.experiments.recorder import Recorder
from flags.provider import Tracker
from flags.resolver import Resolver
from observability.metrics import EXPERIMENT_EVENTS

_UNUSABLE = EXPERIMENT_EVENTS.labels(outcome="unusable")


def tracker(resolver: Resolver, recorder: Recorder) -> Tracker:
    """Return the handler of `client.track(name, context, details)`; without a value an event counts as 1.

    It neither waits nor raises: an event without a targeting key, or with a name that no metric can have, is counted as
    unusable. Events of persons before their exposure are recorded and left out of every report.
    """

    def track(name: str, context: EvaluationContext | None, details: TrackingEventDetails | None) -> None:
        if context is None or not context.targeting_key or not re.fullmatch(EVENT_NAME, name):
            _UNUSABLE.inc()
            return
        value = 1.0 if details is None or details.value is None else float(details.value)
        recorder.note(resolver.arms(context), context.targeting_key, name, value)

    return track
