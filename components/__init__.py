"""The pipeline's steps, one a file: read artifacts, call the library, write artifacts."""

from components.build_features import build_features
from components.deploy import deploy
from components.evaluate import evaluate
from components.ingest import ingest
from components.package import package
from components.train_ranker import train_ranker
from components.train_retrievers import train_retrievers

__all__ = ["build_features", "deploy", "evaluate", "ingest", "package", "train_ranker", "train_retrievers"]
