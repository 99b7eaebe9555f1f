"""Series that other programs export and that our rules or dashboards use: the edge's HAProxy, Prometheus, Alertmanager.

They are declared as ours are, so that a test holds every query to names and labels that exist. Kinds and labels are those
of HAProxy 2.8 (its exporter's `scope=global&scope=frontend&scope=backend`), Prometheus 2.42 and Alertmanager 0.25.
"""

from typing import Final

from monitoring.metrics import Series

__all__ = ["FOREIGN", "SCRAPED"]

SCRAPED: Final = ("job", "instance", "slot", "replica")
"""Labels that Prometheus adds to every series: of what it scrapes, and for replicas the slot and the number in it."""

_PROXIES: Final = 12
_CODES: Final = 6
_INTEGRATIONS: Final = 20
_RULE_GROUPS: Final = 20

FOREIGN: Final[dict[str, Series]] = {
    # what Prometheus says of each process it scrapes
    "up": Series("gauge", "1 where the last scrape of a process worked, else 0.", (), 100),
    "scrape_duration_seconds": Series("gauge", "Time of the last scrape of a process.", (), 100),
    # the edge; proxy is public or inner (frontends), blue, green or collectors (backends)
    "haproxy_process_start_time_seconds": Series("gauge", "When the edge started, Unix time."),
    "haproxy_frontend_http_requests_total": Series("counter", "Requests that arrived.", ("proxy",), _PROXIES),
    "haproxy_frontend_http_responses_total": Series(
        "counter",
        "Answers given, those of the edge itself included; code is 1xx to 5xx, or other.",
        ("proxy", "code"),
        _PROXIES * _CODES,
    ),
    "haproxy_frontend_current_sessions": Series("gauge", "Connections that are open.", ("proxy",), _PROXIES),
    "haproxy_backend_http_requests_total": Series("counter", "Requests that came to a slot.", ("proxy",), _PROXIES),
    "haproxy_backend_http_responses_total": Series(
        "counter", "Answers of a slot; code is 1xx to 5xx, or other.", ("proxy", "code"), _PROXIES * _CODES
    ),
    "haproxy_backend_connection_errors_total": Series(
        "counter", "Requests that found no free replica in time.", ("proxy",), _PROXIES
    ),
    "haproxy_backend_retry_warnings_total": Series("counter", "Requests that were sent again.", ("proxy",), _PROXIES),
    "haproxy_backend_redispatch_warnings_total": Series("counter", "Requests sent to another replica.", ("proxy",), _PROXIES),
    "haproxy_backend_current_queue": Series("gauge", "Requests that wait for a replica.", ("proxy",), _PROXIES),
    "haproxy_backend_active_servers": Series("gauge", "Replicas or collectors that passed their check.", ("proxy",), _PROXIES),
    "haproxy_backend_backup_servers": Series(
        "gauge", "1 where Ray Serve's own HAProxy could answer for a slot without replicas.", ("proxy",), _PROXIES
    ),
    # Prometheus
    "prometheus_rule_evaluation_failures_total": Series(
        "counter", "Evaluations of rules that failed; rule_group is file;group.", ("rule_group",), _RULE_GROUPS
    ),
    "prometheus_notifications_dropped_total": Series("counter", "Alerts that could not be handed to any Alertmanager."),
    # Alertmanager
    "alertmanager_notification_requests_failed_total": Series(
        "counter", "Attempts to send a message that failed, by kind of receiver.", ("integration",), _INTEGRATIONS
    ),
}
"""Name to declaration, without the labels of `SCRAPED`."""
