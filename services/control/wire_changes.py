"""What is asked of the control plane where who serves shall change: a canary, a release at once, or a slot by hand."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from services.control.wire import Force, Id, Text

__all__ = ["FillSlot", "GiveShare", "NewCanary", "ServeRelease"]

BasisPoints = Annotated[int, Meta(ge=0, le=10_000)]


class NewCanary(Struct, forbid_unknown_fields=True):
    """Starts a canary of a release that is registered.

    Attributes:
        release_id: what is tried.
        why: for whoever reads the history.
        policy: fields of the policy that differ from the default.
        force: why the gate's verdict is passed over; empty: it is not.
    """

    release_id: Id
    why: Text
    policy: dict[str, Any] = {}
    force: Force = ""


class ServeRelease(Struct, forbid_unknown_fields=True):
    """Makes a release serve everybody at once, without a canary.

    Attributes:
        release_id: what will serve.
        why: for whoever reads the history.
        force: why the gate's verdict is passed over; empty: it is not.
    """

    release_id: Id
    why: Text
    force: Force = ""


class FillSlot(Struct, forbid_unknown_fields=True):
    """Puts a release into the idle slot, where nobody gets it.

    Attributes:
        release_id: which.
        why: for whoever reads the history.
    """

    release_id: Id
    why: Text


class GiveShare(Struct, forbid_unknown_fields=True):
    """Gives a share of the units, without a canary that judges it.

    Attributes:
        share_bp: how many of them, basis points; 0 takes it away.
        why: for whoever reads the history.
    """

    share_bp: BasisPoints
    why: Text
