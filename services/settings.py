"""Every setting of the services: one typed class, read from `RANKLOOP_` variables of the environment."""
# over budget: one class holds every setting, and each takes three lines to say

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from rankloop.errors import SettingsError

__all__ = ["INNER_PORTS", "Settings"]

INNER_PORTS = 400
"""How many consecutive ports Ray's inner processes may use, from `Settings.inner_port`."""

Port = Annotated[int, Field(ge=1024, le=65535)]
Share = Annotated[float, Field(gt=0, le=64)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Fsync = Literal["always", "interval", "never"]
WhenFull = Literal["refuse", "shed"]


class Settings(BaseSettings):
    """What may differ between two machines; a field `x_y` is the variable `RANKLOOP_X_Y`.

    It is not the recipe of a release (`rankloop.recipe`): nothing here changes what a model learns. Reading it is
    the caller's act: nothing happens at import, and every function takes its settings as an argument.

    Raises:
        SettingsError: through `Settings.read`, when a value cannot work.
    """

    model_config = SettingsConfigDict(env_prefix="RANKLOOP_", extra="ignore", frozen=True, use_attribute_docstrings=True)

    # where things lie
    home: Path = Path(".rankloop")
    """The folder of all state: releases, Bentos, Ray's files, logs, the pipeline's cache."""

    # ports, all on the loopback address except the two of HAProxy, which its configuration binds everywhere
    http_port: Port = 8000
    """TCP port where people and programs ask: the edge's."""

    serve_port: Port = 8001
    """TCP port of Ray Serve's own HAProxy, behind the edge."""

    dashboard_port: Port = 8265
    """TCP port of Ray's dashboard and of the REST API that deploys."""

    ray_port: Port = 6379
    """TCP port of Ray's head, the address a Ray driver connects to."""

    haproxy_metrics_port: Port = 9101
    """TCP port of the metrics of Ray Serve's HAProxy, in Prometheus' format."""

    haproxy_stats_port: Port = 8404
    """TCP port of its page of statistics."""

    edge_metrics_port: Port = 9104
    """TCP port of the edge's own metrics, in Prometheus' format."""

    inner_port: Port = 21000
    """First of 400 consecutive TCP ports for processes that only talk to each other (Ray's agents, workers, replicas)."""

    # the edge
    edge_host: str = "127.0.0.1"
    """Address the edge binds; another than the loopback one only with tokens."""

    tls_certificate: str = ""
    """PEM file with certificate and key; empty: plain HTTP."""

    inflight: Count = 1
    """Requests the edge has answered at the same time by each replica; further ones go to the next replica, or wait."""

    queued: Count = 6
    """Requests that may wait for each replica while there is always a queue; a further one is refused with 503 at once."""

    queued_burst: Count = 24
    """Requests that may wait for each replica at the beginning of a queue."""

    burst_ms: Count = 200
    """How long a queue may be that long before it counts as one that stays, milliseconds."""

    queue_ms: Count = 250
    """How long one waits before it is refused with 503, milliseconds."""

    client_rate: Annotated[int, Field(ge=0)] = 2000
    """Requests a second of one client (a token, else an address), over ten seconds; beyond it is 429; 0: any number."""

    client_connections: Annotated[int, Field(ge=0)] = 1000
    """Connections of one address to the edge; beyond it is 429; 0: any number."""

    request_seconds: Count = 10
    """Longest time a client may take to send a request, seconds."""

    answer_seconds: Count = 30
    """Longest time an answer may take before the edge gives it up, seconds."""

    edge_admin: str = ""
    """Address as host:port at which the edge also takes orders over TCP, for a control plane elsewhere; empty: nowhere."""

    edge_threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads of the edge; one takes more requests a second than many replicas answer."""

    edge_log: Literal["failed", "all"] = "failed"
    """Which requests the edge logs: those that `failed` or were sent again, or `all`."""

    collectors: Annotated[int, Field(ge=1, le=8)] = 2
    """Processes that take events."""

    # the control plane
    control_port: Port = 8002
    """TCP port of the control plane's API, on the loopback address."""

    database_url: SecretStr = SecretStr("")
    """SQLAlchemy URL of the control plane's record, such as `postgresql+psycopg://...`; empty: SQLite in the home folder."""

    edges: str = ""
    """Admin sockets of every edge, as UNIX paths or host:port with commas between; empty: this machine's."""

    tally_port: Port = 9105
    """TCP port of the tally's counts and metrics, on the loopback address."""

    prometheus_url: str = ""
    """Prometheus to read canaries' figures from; empty: the edge and the tally are asked directly."""

    watch_seconds: Seconds = 60.0
    """How often a path that is watched for new data is looked at, seconds."""

    kfp_url: str = ""
    """A Kubeflow Pipelines server to run pipelines on, such as http://ml-pipeline.kubeflow:8888; empty: this machine."""

    kfp_token: SecretStr = SecretStr("")
    """Bearer token for that server, also of `rankloop pipeline submit`; empty: none."""

    kfp_namespace: str = ""
    """Whose runs they are, on a server of several users; empty: it has one."""

    rayservice: str = ""
    """The RayService whose slots the control plane fills, as namespace/name; empty: this machine's Ray Serve."""

    kubernetes_url: str = "https://kubernetes.default.svc"
    """The Kubernetes API."""

    kubernetes_account: str = "/var/run/secrets/kubernetes.io/serviceaccount"
    """Folder with the service account's `token` and `ca.crt`."""

    slots_url: str = ""
    """Where one slot is asked below /blue and /green, such as an edge's inner listener; empty: this machine's."""

    # how much of the machine
    cpus: Annotated[int, Field(ge=0)] = 0
    """Cores Ray may plan with; 0: every core of the machine."""

    object_store_mb: Annotated[int, Field(ge=80)] = 512
    """Size of Ray's shared memory, MiB."""

    replicas: Count = 1
    """Processes that answer requests; each holds the whole release in memory."""

    replica_cpus: Share = 0.25
    """Cores a replica reserves of what Ray plans with; a small share leaves the cores to tuning."""

    max_ongoing_requests: Count = 64
    """Requests a replica takes at the same time; further ones wait at HAProxy."""

    # how long to wait
    start_seconds: Seconds = 120.0
    """Longest wait for a process of the stack to answer, seconds."""

    stop_seconds: Seconds = 10.0
    """Longest wait for a process to end by itself before it is killed, seconds."""

    # limits of the API
    max_k: Count = 200
    """Longest list one request may ask for, items."""

    max_rank_items: Count = 1000
    """Most candidates `/v1/rank` takes in one request, items."""

    max_query_chars: Count = 500
    """Longest search text, characters."""

    max_body_bytes: Annotated[int, Field(ge=1024)] = 262_144
    """Largest body of a request, bytes."""

    # who may ask
    tokens_file: str = ""
    """The file of token hashes, which must then exist; empty: `tokens.json` in the home folder, where there is one."""

    tokens_sha256: str = ""
    """Further tokens as `name:scope+scope:hash`, with commas between; scopes are read, events and admin."""

    token: Annotated[str, Field(repr=False)] = ""
    """The token that our own programs send: the terminal, the client, the shadow worker."""

    max_events: Count = 5000
    """Most events one batch may hold."""

    max_events_bytes: Annotated[int, Field(ge=1024)] = 4_194_304
    """Largest body of a batch of events, bytes."""

    event_max_age_days: Annotated[float, Field(gt=0)] = 30.0
    """Age, days, beyond which an event is rejected."""

    # the spools, where records wait on this machine's disk
    event_fsync: Fsync = "always"
    """When events are handed to the disk: `always` before they are acknowledged, at an `interval`, or `never` by us."""

    impression_fsync: Fsync = "interval"
    """The same for impressions."""

    fsync_seconds: Seconds = 1.0
    """The interval, seconds: what a crash of the machine may take where the policy is `interval`."""

    event_spool_mb: Annotated[int, Field(ge=8)] = 2048
    """Room of all events that wait, MiB."""

    impression_spool_mb: Annotated[int, Field(ge=8)] = 4096
    """Room of all impressions that wait, MiB."""

    event_spool_full: WhenFull = "refuse"
    """What to do when there is no room or the disk is full: `refuse` new ones, or `shed` the oldest ones unread."""

    impression_spool_full: WhenFull = "shed"
    """The same for impressions."""

    segment_mb: Count = 64
    """Size at which a segment of a spool is sealed, MiB; at most a quarter of its room."""

    segment_seconds: Seconds = 300.0
    """Age at which a segment of a spool is sealed, seconds; each is sealed at the turn of the hour too."""

    # answering
    stale_days: Annotated[float, Field(ge=0)] = 7.0
    """Age of a release's data, days, beyond which requests are answered as of its last moment instead of now."""

    budget_ms: Annotated[float, Field(gt=0)] = 25.0
    """Time an answer may take from its arrival at the edge, milliseconds; what does not fit is left out and labelled."""

    threads: Count = 1
    """Threads a replica computes with; more than one pays only where cores are idle, since replicas are what scales."""

    # the online store
    state_url: SecretStr = SecretStr("")
    """Where the online store is: empty for LMDB under `home`, or redis://, rediss:// (TLS) or unix:// for Redis or Valkey."""

    state_timeout_ms: Annotated[float, Field(gt=0)] = 20.0
    """Longest wait of a request for a connection to the online store, and again for its answer, milliseconds."""

    state_seen_days: Annotated[float, Field(gt=0)] = 7.0
    """How long the online store remembers an event's id, so that the event counts once, days."""

    state_map_mb: Count = 1024
    """Address space of an embedded online store at first, MiB; it doubles when it is full, and the file grows as it fills."""

    # the log, which the curator keeps
    curator_port: Port = 9102
    """TCP port of the curator's metrics, in Prometheus' format, on the loopback address."""

    log_url: str = ""
    """Where the log goes, any fsspec URL such as s3://lake/rankloop/log; empty: it stays in the home folder."""

    retention_impressions_days: Count = 400
    """How long the log keeps what people were shown, days."""

    retention_outcomes_days: Count = 800
    """How long the log keeps what people did, days."""

    retention_quarantine_days: Count = 30
    """How long the log keeps events that were refused, days."""

    kafka_servers: str = ""
    """Kafka brokers to send the log to as well, as host:port with commas between; empty: none."""

    kafka_file: str = ""
    """A JSON file of further options of librdkafka, such as security.protocol and sasl.password; empty: none."""

    # the shadow
    shadow_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of requests that the other slot is asked again in the shadow, to compare the lists; 0: none, and no worker."""

    shadow_port: Port = 9103
    """TCP port of the shadow worker's metrics, in Prometheus' format, on the loopback address."""

    shadow_concurrency: Count = 1
    """Requests the shadow worker has under way at the same time."""

    shadow_rate: Annotated[float, Field(gt=0)] = 20.0
    """Most requests a second of the shadow worker, so that it never competes with people; more are passed over."""

    shadow_keep_worst: Annotated[int, Field(ge=0)] = 20
    """How many of the most different pairs of lists are kept as examples."""

    # the pager
    prometheus_port: Port = 9090
    """TCP port of the stack's own Prometheus, on the loopback address."""

    alertmanager_port: Port = 9093
    """TCP port of the stack's own Alertmanager, on the loopback address."""

    alertmanager_url: str = ""
    """Alertmanager that the pager asks which alerts it still holds; empty: the stack's own, where it runs."""

    scrape_seconds: Seconds = 15.0
    """How often Prometheus reads every series and evaluates every rule, seconds."""

    grafana_url: str = ""
    """Where dashboards are shown, such as https://grafana.example.org; put before a page's dashboard link; empty: nowhere."""

    docs_url: str = ""
    """Where the docs are read, such as https://wiki.example.org/rankloop; put before a runbook link; empty: the file's path."""

    pagerduty_key_file: str = ""
    """A file with the integration key of PagerDuty's Events API v2; empty: PagerDuty is not paged."""

    pagerduty_url: str = "https://events.pagerduty.com/v2/enqueue"
    """Where events for PagerDuty go."""

    slack_url_file: str = ""
    """A file with the URL of a Slack webhook; empty: Slack is not told."""

    page_webhook_file: str = ""
    """A file with a URL that is sent each incident as JSON; empty: none is."""

    mail_to: str = ""
    """Addresses that incidents are mailed to, with commas between; empty: none."""

    mail_from: str = ""
    """Address that mail is from; needed with `mail_to`."""

    mail_server: str = ""
    """SMTP server as host:port, on port 465 with TLS from the start; needed with `mail_to`."""

    mail_password_file: str = ""
    """A file with the password of `mail_from` at that server; empty: it asks for none."""

    pager_url: str = ""
    """Where people reach the control plane, for links to incidents, such as https://rankloop.example.org; empty: its own port."""

    settle_seconds: Annotated[float, Field(ge=0)] = 300.0
    """How long nothing must fire before an incident ends by itself, seconds; what fires again before pages nobody again."""

    heartbeat_url_file: str = ""
    """A file with a URL that Alertmanager posts to each minute while alerts would arrive; empty: nobody misses them."""

    watchers: Literal["auto", "none"] = "auto"
    """Whether the stack starts Prometheus and Alertmanager: `auto` where both are installed, or `none`."""

    @property
    def bento_store(self) -> Path:
        """The Bento store, which is the registry of releases; BentoML calls it `BENTOML_HOME`."""
        return self.home / "bento"

    @property
    def log_places(self) -> tuple[str, ...]:
        """Where rows of the log may lie: in the home folder until they are sent, and where they are sent to."""
        here = str(self.home / "log")
        return tuple(dict.fromkeys((here, self.log_url or here)))

    @property
    def tokens_path(self) -> Path:
        """Where the hashes of tokens are kept."""
        return Path(self.tokens_file).expanduser() if self.tokens_file else self.home / "tokens.json"

    @property
    def watcher_tokens_path(self) -> Path:
        """Where the hashes of the tokens are kept that the stack makes for its own Prometheus and Alertmanager."""
        return self.home / "stack" / "watchers.json"

    @property
    def service_url(self) -> str:
        """Where requests are answered."""
        host = "127.0.0.1" if self.edge_host in {"0.0.0.0", "::", "*"} else self.edge_host
        return f"{'https' if self.tls_certificate else 'http'}://{f'[{host}]' if ':' in host else host}:{self.http_port}"

    @property
    def inner_url(self) -> str:
        """Where programs of this machine ask the stable slot: the edge's inner listener."""
        return f"http://127.0.0.1:{self.inner_port + 11}"

    def slot_url(self, slot: str) -> str:
        """Where programs of this machine ask one slot, whatever share of the requests it has."""
        return f"{self.inner_url}/{slot}"

    @property
    def collector_ports(self) -> tuple[int, ...]:
        """Where the event collectors listen, behind the edge."""
        return tuple(self.inner_port + 12 + n for n in range(self.collectors))

    @property
    def replica_ports(self) -> tuple[int, ...]:
        """Where replicas may listen, behind the edge; Ray Serve gives each the lowest that is free."""
        return tuple(range(self.inner_port + 300, self.inner_port + 350))

    @property
    def control_url(self) -> str:
        """The control plane's API."""
        return f"http://127.0.0.1:{self.control_port}"

    @property
    def dashboard_url(self) -> str:
        """Ray's dashboard, and its REST API."""
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def ray_address(self) -> str:
        """What a Ray driver connects to."""
        return f"127.0.0.1:{self.ray_port}"

    def variables(self) -> dict[str, str]:
        """The environment that `read` makes these settings from: what a process of the stack is given."""
        plain = {name: getattr(self, name) for name in type(self).model_fields}
        shown = {name: own.get_secret_value() if isinstance(own, SecretStr) else own for name, own in plain.items()}
        return {f"RANKLOOP_{name.upper()}": str(value) for name, value in shown.items()}

    @classmethod
    def read(cls, **overrides: object) -> "Settings":
        """Reads the environment; `overrides` win over it. The home folder becomes absolute.

        Raises:
            SettingsError: a value cannot work; the message names the variable, the value and the rule.
        """
        try:
            settings = cls(**overrides)  # type: ignore[arg-type]
        except ValidationError as error:
            raise SettingsError(_in_words(error)) from error
        return settings.model_copy(update={"home": settings.home.expanduser().absolute()})


def _in_words(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        name = "_".join(str(part) for part in fault["loc"]).upper()
        lines.append(f"RANKLOOP_{name} is {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}")
    return "; ".join(lines) + "; set it to a value that fits, or unset it"
