"""The routes of the control plane, by what they are about."""

from services.control.routes.canaries import CANARIES
from services.control.routes.drift import DRIFT
from services.control.routes.experiments import EXPERIMENTS
from services.control.routes.incidents import INCIDENTS
from services.control.routes.releases import RELEASES
from services.control.routes.runs import RUNS
from services.control.routes.serving import SERVING
from services.control.routes.slots import SLOTS
from services.control.routes.targets import TARGETS

__all__ = ["CANARIES", "DRIFT", "EXPERIMENTS", "INCIDENTS", "RELEASES", "RUNS", "SERVING", "SLOTS", "TARGETS"]
