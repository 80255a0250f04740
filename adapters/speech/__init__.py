"""Speech: recognisers that read voice notes, and a synthesizer that answers in speech."""
