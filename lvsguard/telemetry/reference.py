"""The reference page of the metrics."""

from __future__ import annotations

from lvsguard.telemetry.catalog import CATALOG

_PREAMBLE = """\
# Metrics

`http://127.0.0.1:9852/metrics` (`[telemetry] listen`), in the Prometheus text format 0.0.4, or in
OpenMetrics 1.0 for whom the request's `Accept` header prefers it, as Prometheus does. Times are
seconds, sizes are bytes, counters only grow, except that the kernel begins anew when a
service is removed and added again. A realserver that is out of the kernel's table (one that
refuses connections, or is disabled) has no `lvsguard_ipvs_connections_total`,
`lvsguard_ipvs_packets_total` and `lvsguard_ipvs_bytes_total` meanwhile: the kernel keeps its totals
for two minutes or longer and goes on from there when it is back, else it begins anew, and over a
gap `rate()` is right in both cases. Nor has a service its totals before the first read of the
kernel, or the VIPs' elections theirs before the VRRP process has told them.

Labels: `service` is the service's name in the configuration; `realserver` is `address:port`;
`vip` is the name of the VIP group; `check` is the kind of check and, for HTTP, its path without
the query. The usual `process_*` metrics of the controller's process are there too.

## How many series

What is configured bounds them; nothing that comes from the network becomes a label, but for a
check's result codes, at most 32 of a check. With R realservers (one that is in two services counts
twice), C checks of a realserver, S services and V VIP groups it is about

    12 R + 4 C R + S (14 + 20 K) + 45 V + 200

where K is the number of kinds of checks that a service has, usually 1: some 300 for two realservers
of one service, 20,000 for 1,000 in 100 services, 720,000 for 37,000 in 3,700. Whatever is counted
by a reason or a class has all of them from the start, at 0, so that `increase()` sees the first. A
realserver has two more while it is drained, and one or two each for an agent, a check via the VIP,
a certificate, forwarding nat, and each further result code. One that leaves the configuration takes
its series along. What an exposition of that size costs is in [the benchmarks](../benchmarks.md). A
Prometheus that need not know each realserver drops them when it scrapes:

```yaml
metric_relabel_configs:
  - source_labels: [realserver]
    regex: .+
    action: drop
```

There are no rates: `rate()` of the kernel's 64-bit totals is exact over any window, the kernel's
own estimate is smoothed over a few seconds that nobody chose; [the recording
rules](../howto/monitor-with-prometheus.md) have them ready.

There are no exemplars, though each verdict has an id. An exemplar is there to be followed into a
trace backend, and the ids lead to none; and a histogram of thousands of verdicts would need one for
each bucket, each scrape. An id is in the log's lines and in `LVSGUARD_TRACE=`; what became of its
verdict, from the probe to the kernel, `lvsguard events --id 3f29c01ab7` tells on the director.

## All of them

This page is made from `lvsguard/telemetry/catalog.py` and the files that it names.

| name | type | labels | meaning |
|---|---|---|---|
"""


def page() -> str:
    """It, in Markdown."""
    rows = [
        f"| `{m.name}` | {m.kind} | {', '.join(f'`{label}`' for label in m.labels)} | {m.help} |"
        for m in CATALOG
    ]
    return _PREAMBLE + "\n".join(rows) + "\n"
