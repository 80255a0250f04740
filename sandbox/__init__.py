"""Doubles of the outside world that speak its real protocols: Anthropic's Messages API and WhatsApp's Graph API."""
