"""Step: a release that passed the gate becomes a bundle, and the bundle a Bento."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def package(
    tables: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Dataset],
    retrievers: dsl.Input[dsl.Model],
    ranker: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    recipe: dict,
    bento: dsl.Output[dsl.Model],
):
    """Packs what was measured, and nothing else.

    Args:
        tables: the contract tables.
        features: the feature store; the bundle takes each feature's latest value.
        retrievers: both fits; the bundle takes the release's.
        ranker: the tuned ranker.
        evaluation: the numbers the release carries.
        recipe: fields of `rankloop.recipe.Recipe`.
        bento: the bundle's folder; the Bento's address is in the metadata.
    """
    import os
    from datetime import UTC, datetime
    from pathlib import Path

    from components.bento import build_bento
    from monitoring.progress import step
    from rankloop.evaluation import Inputs, pack
    from rankloop.recipe import Recipe

    with step("package") as say:
        folders = [Path(artifact.path) for artifact in (tables, features, retrievers, ranker)]
        inputs = Inputs.read(Recipe.from_mapping(recipe), *folders)
        bundle, now = Path(bento.path) / "bundle", datetime.now(UTC)
        manifest = pack(inputs, Path(evaluation.path), bundle, lineage=dict(tables.metadata), created_at=now)
        say(f"bundle {manifest.release_id}, {len(manifest.files)} files")
        built = build_bento(bundle, Path(os.environ.get("BENTOML_HOME", bento.path)))
        say(f"Bento {built['tag']}, {built['bytes'] / 2**20:.0f} MiB")
        facts = {"address": built["path"], "release_id": manifest.release_id, "bundle": str(bundle)}
        bento.metadata.update(facts | {"tag": built["tag"], "as_of": manifest.as_of} | manifest.numbers)
