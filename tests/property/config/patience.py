"""How these tests run on a machine that is busy: time says nothing of what is tested."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

PATIENT = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
