"""People: agents who take conversations, notices to the team, one person in one thread, and privacy."""
