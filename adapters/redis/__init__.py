"""Redis: store, inbox, cache, events and the queue of the Celery engine."""
