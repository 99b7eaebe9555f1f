"""The tally: what was shown and done since the share of the canary holds, by slot, with its units' moments."""
