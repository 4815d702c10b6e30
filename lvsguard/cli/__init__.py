"""TALKS to the operator: the commands and what they print. The only room that prints."""
