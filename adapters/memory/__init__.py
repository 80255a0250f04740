"""In-process adapters of every port: for unit tests, and for a single process."""
