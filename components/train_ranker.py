"""Step: the ranker, tuned by Ray Tune."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train_ranker(
    tables: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Dataset],
    retrievers: dsl.Input[dsl.Model],
    recipe: dict,
    ray_address: str,
    ranker: dsl.Output[dsl.Model],
):
    """Assembles judged lists and searches for the best LambdaMART.

    Args:
        tables: the contract tables.
        features: the feature store.
        retrievers: both fits.
        recipe: fields of `rankloop.recipe.Recipe`.
        ray_address: the cluster to tune on; empty starts a local one for this step.
        ranker: the best ranker, every trial, and the best configuration.
    """
    import os
    from pathlib import Path

    from monitoring.progress import step
    from rankloop.contracts import Tables
    from rankloop.features import FeatureStore
    from rankloop.recipe import Recipe
    from rankloop.training import Fits, train

    with step("train_ranker") as say:
        given = Tables.read(tables.path), FeatureStore.load(Path(features.path)), Fits.load(Path(retrievers.path))
        folder, storage = Path(ranker.path), Path(os.environ.get("RANKLOOP_HOME", ranker.path)) / "tuning"
        chosen = Recipe.from_mapping(recipe)
        ranker.metadata.update(train(*given, chosen, folder, storage=storage, ray_address=ray_address or None, say=say))
