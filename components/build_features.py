"""Step: feature views over the tables, each value with the moment it became known."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def build_features(tables: dsl.Input[dsl.Dataset], features: dsl.Output[dsl.Dataset]):
    """Computes every feature view.

    Args:
        tables: the contract tables.
        features: the feature store: values, SQL texts, fingerprint.
    """
    from pathlib import Path

    from monitoring.progress import step
    from rankloop.contracts import Tables
    from rankloop.features import FeatureStore, compute, load_views

    with step("build_features") as say:
        views = load_views()
        say(f"{len(views)} views: {', '.join(view.name for view in views)}")
        frames = compute(views, Tables.read(tables.path))
        store = FeatureStore(views, frames)
        Path(features.path).mkdir(parents=True)
        store.save(Path(features.path))
        rows = {f"rows_{name}": frame.height for name, frame in frames.items()}
        features.metadata.update(rows | {"features": len(store.names), "fingerprint": store.fingerprint})
