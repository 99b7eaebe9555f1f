"""The text encoder in int8: a query's milliseconds, the catalogue's, and what int8 costs in quality.

SciFact is read from `RANKLOOP_DATA_DIR` (by default `../shared/data`); where it is not there, that part is skipped and
named. Of its 5,183 documents those that some claim cites are kept and 700 others are drawn: encoding all of them in two
ways takes a quarter of an hour on one core. So the figures compare with each other, not with published ones.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks._public import csv_rows, items_only
from benchmarks._torch_bert import torch_encoder
from benchmarks.result import Bar, Result
from benchmarks.retrieval import DATA
from rankloop.contracts import Columns, Tables
from rankloop.metrics import of_lists
from rankloop.request import Request
from rankloop.retrieval import Bm25, Retriever, Semantic
from rankloop.retrieval._vectors import Vectors
from rankloop.retrieval.base import top
from rankloop.text import Encoder, export, packaged, quantise
from rankloop.vocabulary import Vocabulary

Floats = npt.NDArray[np.float32]
Ways = Mapping[str, Sequence[tuple[Callable[[Any], Any], Any]]]
Part = tuple[dict[str, Any], dict[str, Any], list[Bar]]

QUERIES = (
    "logo design",
    "python developer",
    "wordpress website for a small restaurant",
    "translate documents from german to english",
    "flutter mobile app",
    "seo expert for e-commerce",
    "data entry in excel",
    "senior react engineer typescript",
    "video editing for youtube",
    "accountant tax return",
    "kubernetes",
    "3d modelling of a product in blender",
)


JOB = """Translator who knows Localisation and Closed Captions. Localisation, Closed Captions, Subtitles, Translation,
Timestamping. Our team at a coffee roaster wants to time-code an interview recording. Must have: Localisation, Closed
Captions, Subtitles, Translation and Timestamping. We would like to start this week and finish within 2 weeks. You will
work with our translator and one manager. A short call at the start, then weekly updates by message."""

_NAMES = {"float32": "float32 ONNX", "PyTorch": "PyTorch float32"}
_HITS = 10_000
_NEVER = datetime(2026, 1, 1, tzinfo=UTC)


def run(quick: bool) -> Result:
    """Measures every part whose data are there."""
    figures: dict[str, Any] = {}
    versus: dict[str, dict[str, Any]] = {}
    bars: list[Bar] = []
    with TemporaryDirectory() as folder:
        begin = time.perf_counter()
        quantise(packaged(), Path(folder) / "int8")
        figures["quantise_s"] = time.perf_counter() - begin
        export(packaged(), Path(folder) / "float32")
        int8, floats = (Encoder(Path(folder) / name) for name in ("int8", "float32"))
        figures["int8_mb"] = (Path(folder) / "int8" / "model.onnx").stat().st_size / 1e6
        for part in (_latency, _catalogue, _scifact):
            own, others, own_bars = part(int8, floats, quick)
            figures |= own
            for who, theirs in others.items():
                versus.setdefault(who, {}).update(theirs)
            bars += own_bars
    return Result("encoder", figures, versus, bars)


def _latency(int8: Encoder, floats: Encoder, quick: bool) -> Part:
    """A query alone, and a job alone, on one thread."""
    both = {"int8": int8, "float32": floats}
    ways: dict[str, Callable[[str], Any]] = {name: partial(_alone, own) for name, own in both.items()}
    if (eager := torch_encoder(packaged(), floats._tokenizer)) is not None:
        ways["PyTorch"] = eager
    took = _in_turn({name: [(way, text) for text in QUERIES] for name, way in ways.items()}, rounds=2 if quick else 40)
    jobs = _in_turn({name: [(way, JOB)] for name, way in ways.items()}, rounds=2 if quick else 40)
    hits = _in_turn({"hits": [(_remembered, int8)]}, rounds=5)["hits"] / _HITS
    cosine = np.sum(int8.encode(QUERIES) * floats.encode(QUERIES), axis=1)
    figures = {
        "query_cpu_ms": took["int8"] * 1e3,
        "job_cpu_ms": jobs["int8"] * 1e3,
        "cached_query_us": hits * 1e6,
        "worst_cosine_with_float32": float(cosine.min()),
        "mean_cosine_with_float32": float(cosine.mean()),
    }
    versus = {_NAMES[name]: {"query_cpu_ms": took[name] * 1e3, "job_cpu_ms": jobs[name] * 1e3} for name in ways if name != "int8"}
    bars = [Bar.at_least("worst cosine of int8 with float32", figures["worst_cosine_with_float32"], 0.98)]
    if not quick:
        bars += [
            Bar.at_most("a query: seconds in int8 for one in float32", took["int8"] / took["float32"], 0.75),
            Bar.at_most("a query remembered, microseconds", figures["cached_query_us"], 20),
        ]
    return figures, versus, bars


def _catalogue(int8: Encoder, floats: Encoder, quick: bool) -> Part:
    """Cosines with 100,000 items on one thread: a byte a number, against BLAS with float32."""
    from implicit.utils import threadpoolctl

    rng, items = np.random.default_rng(0), 5_000 if quick else 100_000
    rows = rng.standard_normal((items, int8.dims), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    vectors, asked = Vectors.of(rows), rows[0]
    with threadpoolctl.threadpool_limits(1, "blas"):
        ways: Ways = {"int8": [(vectors.cosines, asked)], "blas": [(rows.__matmul__, asked)]}
        took = _in_turn(ways, rounds=5 if quick else 100)
    error = float(np.abs(vectors.cosines(asked) - rows @ asked).max())
    figures = {
        "items": items,
        "items_cpu_ms": took["int8"] * 1e3,
        "items_mb": vectors.codes.nbytes / 1e6,
        "largest_error_of_a_cosine": error,
    }
    versus = {"float32, BLAS": {"items_cpu_ms": took["blas"] * 1e3, "items_mb": rows.nbytes / 1e6}}
    faster = Bar.at_least("100,000 items: times as fast as BLAS with float32", took["blas"] / took["int8"], 1.5)
    return figures, versus, [] if quick else [faster]


def _scifact(int8: Encoder, floats: Encoder, quick: bool) -> Part:
    """Claims that cite abstracts: int8 from end to end, float32 from end to end, and BM25."""
    folder = DATA / "scifact"
    if not folder.is_dir():
        return {"scifact": f"skipped: {folder.name} is not there"}, {}, []
    queries, tables = _judged(folder, claims=10 if quick else None, others=20 if quick else 700)
    catalogue = Vocabulary(tables.items[Columns.ITEM_ID])
    wanted = [catalogue.encode([id_ for id_ in own if id_ in catalogue]) for _, own in queries]
    begin = time.perf_counter()
    semantic = Semantic(encoder=packaged(), least=-1).fit(tables, catalogue, rng=np.random.default_rng(0))
    seconds = time.perf_counter() - begin
    texts = [f"{title}. {text}" for title, text in tables.items.select(Columns.TITLE, Columns.DESCRIPTION).iter_rows()]
    exact = floats.encode(texts)
    found = {
        "semantic": _asked(semantic, queries),
        "float32": [top(exact @ floats.encode_query(text), 10).items for text, _ in queries],
        "BM25": _asked(Bm25().fit(tables, catalogue, rng=np.random.default_rng(0)), queries),
    }
    at_10 = {name: of_lists(items, wanted, k=10) for name, items in found.items()}
    measured = {
        name: {f"scifact {metric}@10": float(values[metric].mean()) for metric in ("ndcg", "recall")}
        for name, values in at_10.items()
    }
    lost = measured["float32"]["scifact ndcg@10"] - measured["semantic"]["scifact ndcg@10"]
    own = {"scifact documents": len(catalogue), "scifact claims": len(queries), "scifact fit_s": seconds}
    versus = {"float32 ONNX": measured["float32"], "BM25": measured["BM25"]}
    bars = [] if quick else [Bar.at_most("SciFact nDCG@10 lost by int8, encoder and index", lost, 0.01)]
    return own | measured["semantic"], versus, bars


def _judged(folder: Path, *, claims: int | None, others: int) -> tuple[list[tuple[str, list[str]]], Tables]:
    """Claims with the documents they cite, and tables of those documents and some others."""
    queries: dict[str, tuple[str, list[str]]] = {}
    for claim in csv_rows(folder / "claims_validation.csv.gz"):
        cited = queries.setdefault(claim["id"], (claim["claim"], []))[1]
        cited += claim["cited_doc_ids"].strip("[]").replace(",", " ").split()
    some = list(queries.values())[:claims]
    documents = csv_rows(folder / "corpus_train.csv.gz")
    needed = {id_ for _, cited in some for id_ in cited}
    rest = [place for place, document in enumerate(documents) if document["doc_id"] not in needed]
    drawn = set(np.random.default_rng(0).choice(rest, others, replace=False).tolist())
    kept = [own for place, own in enumerate(documents) if own["doc_id"] in needed or place in drawn]
    columns = {Columns.ITEM_ID: "doc_id", Columns.TITLE: "title", Columns.DESCRIPTION: "abstract"}
    return some, items_only({name: [document[own] for document in kept] for name, own in columns.items()})


def _asked(retriever: Retriever, queries: Sequence[tuple[str, list[str]]]) -> list[npt.NDArray[np.int64]]:
    return [retriever.retrieve(Request("", "job_search", _NEVER, text), 10).items for text, _ in queries]


def _alone(encoder: Encoder, text: str) -> Floats:
    return encoder.encode([text])


def _remembered(encoder: Encoder) -> None:
    for _ in range(_HITS):
        encoder.encode_query(QUERIES[0])


def _in_turn(ways: Ways, *, rounds: int) -> dict[str, float]:
    """Median CPU seconds of each way's calls, which what else runs on the machine hardly changes.

    Every way computes on the thread that calls it. The ways take turns, and the first round only warms up.
    """
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, calls in ways.items():
            for do, argument in calls:
                begin = time.thread_time()
                do(argument)
                took[name].append(time.thread_time() - begin)
    return {name: float(np.median(seconds[len(ways[name]) :])) for name, seconds in took.items()}
