"""What the institution allows: its documents, how they are told to a model, and the gate every reply passes."""
