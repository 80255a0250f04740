"""Engines: the Celery worker and the Cloud Tasks endpoint."""
