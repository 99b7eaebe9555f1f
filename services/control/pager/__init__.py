"""The pager: alerts become incidents, one for each cause; each is looked into, told once, and acted on where policy allows."""

from services.control.pager.pager import Pager, Received
from services.control.pager.receivers import open_receivers
from services.control.pager.showing import Incidents

__all__ = ["Incidents", "Pager", "Received", "open_receivers"]
