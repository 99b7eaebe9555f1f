"""The client of the service: what an application in Python asks and tells, with tries, timeouts and types.

It loads no model, no cluster and no web framework.
"""

from services.client.async_client import AsyncClient
from services.client.client import Client
from services.client.events import Event
from services.client.exchange import Policy

__all__ = ["AsyncClient", "Client", "Event", "Policy"]
