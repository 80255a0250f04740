"""Firestore: the store and the inbox of the Cloud Tasks engine."""
