"""Step: every retriever, fitted on the history before training and on the history before test."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train_retrievers(tables: dsl.Input[dsl.Dataset], recipe: dict, retrievers: dsl.Output[dsl.Model]):
    """Fits the retrievers twice.

    Args:
        tables: the contract tables.
        recipe: fields of `rankloop.recipe.Recipe`.
        retrievers: both fits, the catalogue, and where the windows begin.
    """
    from pathlib import Path

    from monitoring.progress import step
    from rankloop.contracts import Tables
    from rankloop.recipe import Recipe
    from rankloop.training import fit_retrievers

    with step("train_retrievers") as say:
        fits = fit_retrievers(Tables.read(tables.path), Recipe.from_mapping(recipe), say)
        Path(retrievers.path).mkdir(parents=True)
        fits.save(Path(retrievers.path))
        moments = {name: moment.isoformat() for name, moment in fits.split._asdict().items()}
        retrievers.metadata.update(moments | {"items": len(fits.catalogue), "retrievers": list(fits.release)})
