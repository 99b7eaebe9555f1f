"""The rules that Prometheus evaluates, and a reader of them."""

from monitoring.rules.reading import FOLDER, Rule, alerts, files, queries_in, rules, series_in

__all__ = ["FOLDER", "Rule", "alerts", "files", "queries_in", "rules", "series_in"]
