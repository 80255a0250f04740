"""The mechanical floor of the guardrail gate: atoms, passages, leaks and the check that compares them."""
