"""HTTP in and out: bodies, problems, clients, callbacks, Slack."""
