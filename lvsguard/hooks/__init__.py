"""TELLS others: commands and webhooks, on chosen events. Nothing waits for it."""
