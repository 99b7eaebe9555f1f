"""A candidate on the known world, every part of it fitted, and what was measured of it."""

from pathlib import Path

import numpy as np
import pytest

from rankloop.evaluation import Evaluation, Inputs, evaluate
from rankloop.features import FeatureStore, compute, load_views
from rankloop.ranking import LambdaMart
from rankloop.recipe import Recipe
from rankloop.testing import known_world
from rankloop.training import fit_retrievers, windows

RECIPE = Recipe(judged_requests=80, depth=30, policy={"min_users": 20, "min_requests": 50, "slice_min_users": 20})


def quiet(text: str, **facts: object) -> None:
    """Says nothing."""


@pytest.fixture(scope="session")
def candidate_inputs() -> Inputs:
    tables, views = known_world(rng=3), load_views()
    store = FeatureStore(views, compute(views, tables))
    fits = fit_retrievers(tables, RECIPE, quiet)
    judged = windows(tables, store, fits, RECIPE, quiet)
    ranker = LambdaMart().fit(judged.training, judged.validation, rng=np.random.default_rng(0))
    return Inputs(tables, store, fits, ranker, RECIPE)


@pytest.fixture(scope="session")
def evaluated(candidate_inputs: Inputs) -> Evaluation:
    return evaluate(candidate_inputs, None, quiet)


@pytest.fixture(scope="session")
def written(evaluated: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    evaluated.write(folder)
    return folder
