"""What a watch over drift looks at: the rows a release learned from, and those that came since."""

from rankloop.watch.comparing import Asked, Compared, compare_window
from rankloop.watch.explaining import explain, name_of_report
from rankloop.watch.making import make_reference

__all__ = ["Asked", "Compared", "compare_window", "explain", "make_reference", "name_of_report"]
