"""The HTTP side: verify, make durable, answer; status and events of web chat; the console."""
