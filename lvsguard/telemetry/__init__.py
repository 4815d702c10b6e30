"""TELLS: /metrics, /healthz, /readyz."""
