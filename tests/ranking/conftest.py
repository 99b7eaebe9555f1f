"""Judged lists whose right order is known, for the tests of rankers and tuning."""

from collections.abc import Callable

import numpy as np
import pytest

from rankloop.ranking import Judged

MakeLists = Callable[..., Judged]


@pytest.fixture(scope="session")
def make_lists() -> MakeLists:
    """`make_lists(seed, requests=200, width=6)`: grades follow feature 0 and the product of 1 and 2; 5 % is missing."""

    def make(seed: int, requests: int = 200, rows: int = 12, width: int = 6) -> Judged:
        rng = np.random.default_rng(seed)
        count = requests * rows
        features = rng.normal(size=(count, width)).astype(np.float32)
        utility = features[:, 0] + features[:, 1] * features[:, 2] + 0.3 * rng.normal(size=count)
        features[rng.random(features.shape) < 0.05] = np.nan
        return Judged(
            features=features,
            names=tuple(f"feature_{place}" for place in range(width)),
            grades=np.digitize(utility, [0.8, 1.3, 1.8, 2.4, 3.0]).astype(np.int32),
            positions=np.tile(np.arange(1, rows + 1, dtype=np.int32), requests),
            sizes=np.full(requests, rows, np.int64),
            user_ids=np.array([f"u{place % 50}" for place in range(requests)], object),
        )

    return make
