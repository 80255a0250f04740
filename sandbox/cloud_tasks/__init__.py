"""A stand-in for Google Cloud Tasks: its gRPC API, its deliveries over HTTP, and the tokens Google signs for them."""
