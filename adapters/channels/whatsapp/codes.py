"""Classes of the platform's error codes. Source: Meta, "Error codes" of May 2026."""

# Codes after which the same message may be sent again later; everything else is final for this message.
WAIT_CODES = frozenset({1, 2, 4, 80007, 130429, 131000, 131016, 131056, 131057, 133004})
# Codes that stop the whole account until a person repairs it: the message waits, since it is not at fault.
ACCOUNT_CODES = frozenset({0, 3, 10, 33, 190, 368, 130497, 131005, 131031, 131037, 131042, 131045, 131063, 133010})
# Codes about the person or the time: experiment, own number, no test number, window closed, limits, opted out.
RECIPIENT_CODES = frozenset({130403, 130472, 131021, 131030, 131047, 131048, 131049, 131050, 131062, 137000})


def is_in_any_form(code: int) -> bool:
    """Whether another form of the message would be refused as well."""
    return code in RECIPIENT_CODES or is_of_account(code)


def is_of_account(code: int) -> bool:
    return code in ACCOUNT_CODES or 200 <= code <= 299
