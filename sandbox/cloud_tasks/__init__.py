"""Test double of Google Cloud Tasks: its gRPC API, its deliveries over HTTP, and Google's tokens for them."""
