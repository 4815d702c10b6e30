"""READS: TOML text to a frozen Config, or every problem at once with file and line."""
