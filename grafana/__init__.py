"""Dashboards for Grafana, made from code: python -m grafana.build writes grafana/dashboards/."""
