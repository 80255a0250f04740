"""Google Cloud: the Cloud Tasks queue and the verification of its tokens."""
