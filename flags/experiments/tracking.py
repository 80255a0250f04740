"""OpenFeature's `track`: what an application observes of a person is a metric event of the person's experiments."""

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
    """What takes `client.track(name, context, details)`: without a value it counts as 1.

    Nothing waits and nothing is raised: without a targeting key, or under a name that no metric can have, the event is
    counted as unusable. Of persons who have not met their arm it is recorded and left out of every report.
    """

    def track(name: str, context: EvaluationContext | None, details: TrackingEventDetails | None) -> None:
        if context is None or not context.targeting_key or not re.fullmatch(EVENT_NAME, name):
            _UNUSABLE.inc()
            return
        value = 1.0 if details is None or details.value is None else float(details.value)
        recorder.note(resolver.arms(context), context.targeting_key, name, value)

    return track
