"""What was measured offline beside what was measured online, of every release that was tried."""

from services.control.scoreboard.reading import ONLINE, read_scoreboard, trial_of

__all__ = ["ONLINE", "read_scoreboard", "trial_of"]
