"""ASKS the realservers: runs checks in prober processes of their own and reports verdicts.

It decides nothing about the kernel: a result goes through ``core.health.step`` and up as a
message. One probe's way: ``prober`` (when) -> ``kinds`` (which) -> ``connection`` on ``engine``
with ``http`` or ``tcp`` as the conversation, or ``https`` -> ``prober`` (verdict) -> ``message`` ->
``pool`` (the controller's side). Beside the probes: ``canaries``, each a ``canary`` on a
``canary_line`` with a ``greeting`` and a ``habit``, whose ends are ``hints``.
"""
