"""Prices, budgets and token estimates."""
