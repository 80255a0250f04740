"""HTTP in and out: bodies, access, problems, clients, callbacks, Slack."""
