"""Step: measure on the test window, and let the gate decide."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate(
    tables: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Dataset],
    retrievers: dsl.Input[dsl.Model],
    ranker: dsl.Input[dsl.Model],
    recipe: dict,
    champion: str,
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> str:
    """Compares the candidate with the champion, the popular baseline and the logged order.

    Args:
        tables: the contract tables, with their quarantine.
        features: the feature store.
        retrievers: both fits.
        ranker: the tuned ranker and its trials.
        recipe: fields of `rankloop.recipe.Recipe`.
        champion: the bundle's folder of the release that serves; empty when none does.
        evaluation: the recorded numbers and the verdict, enough to replay the decision.
        metrics: means, for a KFP UI.
        report: one self-contained page.

    Returns:
        The verdict: `pass`, `fail`, or `not enough evidence`.
    """
    import json
    from pathlib import Path

    from monitoring.progress import step
    from rankloop.evaluation import Champion, Inputs, evaluate, write_report
    from rankloop.recipe import Recipe

    with step("evaluate") as say:
        folders = [Path(artifact.path) for artifact in (tables, features, retrievers, ranker)]
        inputs = Inputs.read(Recipe.from_mapping(recipe), *folders)
        result = evaluate(inputs, Champion.open(champion, say) if champion else None, say)
        record = result.write(Path(evaluation.path))
        write_report(result, inputs, folders[0], folders[3], Path(report.path))
        means = {name: interval["mean"] for name, interval in record["systems"]["candidate"].items()}
        Path(metrics.path).write_text(json.dumps(means))
        for name, value in means.items():
            metrics.log_metric(name, value)
        return result.verdict.outcome
