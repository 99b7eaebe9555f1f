"""The routes of the control plane, by what they are about."""

from services.control.routes.canaries import CANARIES
from services.control.routes.releases import RELEASES
from services.control.routes.runs import RUNS
from services.control.routes.serving import SERVING
from services.control.routes.slots import SLOTS

__all__ = ["CANARIES", "RELEASES", "RUNS", "SERVING", "SLOTS"]
