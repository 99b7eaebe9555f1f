"""The control plane: releases, canaries, runs, and the history of all of them."""
