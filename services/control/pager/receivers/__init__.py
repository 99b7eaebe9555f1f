"""Where notices go: PagerDuty, Slack, mail, and any program's webhook."""

from services.control.pager.receivers.base import NotSent, Receiver, Refused
from services.control.pager.receivers.mail import Mail
from services.control.pager.receivers.opening import open_receivers
from services.control.pager.receivers.pagerduty import PagerDuty
from services.control.pager.receivers.slack import Slack
from services.control.pager.receivers.webhook import Webhook

__all__ = ["Mail", "NotSent", "PagerDuty", "Receiver", "Refused", "Slack", "Webhook", "open_receivers"]
