"""Which state may follow which. Pure: no I/O, no clock, no settings."""
