"""The release pipeline: from a log to a deployed release, or to the reasons why not."""

from typing import NamedTuple

from kfp import dsl

from components.build_features import build_features
from components.deploy import deploy
from components.evaluate import evaluate
from components.ingest import ingest
from components.package import package
from components.train_ranker import train_ranker
from components.train_retrievers import train_retrievers

__all__ = ["release"]


class Outputs(NamedTuple):
    """What a run leaves, whether it passed or not."""

    verdict: str
    evaluation: dsl.Artifact
    report: dsl.HTML


@dsl.pipeline(name="release", description="Validate, build features, train, tune, evaluate, gate, package, deploy.")
def release(
    source: str,
    path: str,
    mapping: str = "",
    data_version: str = "",
    code_version: str = "",
    champion: str = "",
    control_api: str = "http://127.0.0.1:8002",
    at_once: bool = False,
    policy: str = "{}",
    ray_address: str = "",
    recipe: dict = {},  # noqa: B006  (a pipeline's defaults are compiled, never mutated)
) -> Outputs:
    """Wiring only: names and edges."""
    data = ingest(source=source, path=path, mapping=mapping, data_version=data_version, code_version=code_version)
    tables = data.outputs["tables"]
    features = build_features(tables=tables).outputs["features"]
    retrievers = train_retrievers(tables=tables, recipe=recipe).outputs["retrievers"]
    made = {"tables": tables, "features": features, "retrievers": retrievers, "recipe": recipe}
    ranker = train_ranker(**made, ray_address=ray_address).outputs["ranker"]
    judged = evaluate(**made, ranker=ranker, champion=champion)
    with dsl.If(judged.outputs["Output"] == "pass", name="gate-passed"):
        packed = package(**made, ranker=ranker, evaluation=judged.outputs["evaluation"])
        made_known = {"bento": packed.outputs["bento"], "evaluation": judged.outputs["evaluation"]}
        deploy(**made_known, control_api=control_api, at_once=at_once, policy=policy).set_caching_options(False)
    return Outputs(judged.outputs["Output"], judged.outputs["evaluation"], judged.outputs["report"])
