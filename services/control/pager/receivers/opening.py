"""The receivers that the settings name."""

from services.control.pager.receivers.base import Receiver
from services.control.pager.receivers.mail import Mail
from services.control.pager.receivers.pagerduty import PagerDuty
from services.control.pager.receivers.slack import Slack
from services.control.pager.receivers.webhook import Webhook
from services.settings import Settings

__all__ = ["open_receivers"]


def open_receivers(settings: Settings) -> list[Receiver]:
    """Every receiver that is configured; none: incidents are kept and shown, and nobody is told.

    Raises:
        SettingsError: the settings of one are not complete.
    """
    found: list[Receiver] = []
    if settings.pagerduty_key_file:
        found.append(PagerDuty(settings.pagerduty_url, settings.pagerduty_key_file))
    if settings.slack_url_file:
        found.append(Slack(settings.slack_url_file))
    if settings.page_webhook_file:
        found.append(Webhook(settings.page_webhook_file))
    if settings.mail_to:
        found.append(Mail(settings.mail_to, settings.mail_from, settings.mail_server, settings.mail_password_file))
    return found
