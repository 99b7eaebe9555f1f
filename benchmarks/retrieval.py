"""Retrievers on public data and at serving time: quality against published figures, ALS against implicit's, latency.

The data are read from `RANKLOOP_DATA_DIR` (by default `../shared/data`) in the formats their publishers use; a set that
is not there is skipped and named. Settings of ALS were chosen on parts of the training sets.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from benchmarks._public import check_ins, csv_rows, items_only, matrix_of, tsv_rows
from benchmarks.result import ROOT, Bar, Result
from rankloop.contracts import Columns, Tables
from rankloop.metrics import of_lists
from rankloop.request import Request
from rankloop.retrieval import Als, Bm25, Popular, Profile, Retriever, Similar
from rankloop.simulation import Marketplace, Scale
from rankloop.vocabulary import Vocabulary

DATA = Path(os.environ.get("RANKLOOP_DATA_DIR", ROOT.parent / "shared" / "data"))
GOWALLA: Mapping[str, Any] = {"dims": 512, "unobserved": 0.02, "regularisation": 2.0, "frequency": 0.5, "sweeps": 5}
BEAUTY: Mapping[str, Any] = {"dims": 512, "unobserved": 0.01, "regularisation": 1.0, "frequency": 0.5, "sweeps": 5}

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Queries = Mapping[str, tuple[str, Sequence[str]]]
Part = tuple[dict[str, Any], dict[str, Any], list[Bar]]
T = TypeVar("T")


def run(quick: bool) -> Result:
    """Measures every part whose data are there."""
    figures: dict[str, Any] = {}
    versus: dict[str, Any] = {}
    bars: list[Bar] = []
    for name, part in {"serving": serving, "scifact": scifact, "melo": melo, "beauty": beauty, "gowalla": gowalla}.items():
        folder = DATA / {"beauty": "amazon_beauty"}.get(name, name)
        if name != "serving" and not folder.is_dir():
            figures[name] = f"skipped: {folder} is not there"
            continue
        own, others, own_bars = part(folder, quick)
        figures |= {f"{name} {figure}": value for figure, value in own.items()}
        versus |= {f"{name} {figure}, {who}": value for who, theirs in others.items() for figure, value in theirs.items()}
        bars += own_bars
    return Result("retrieval", figures, versus, bars)


def serving(_: Path, quick: bool) -> Part:
    """Fit and 200 candidates of 10,000 open items, for each retriever."""
    scale = Scale.tiny() if quick else Scale(2_000, 20, 8_000, 100, 800, days=28, impressions=150_000)
    tables = Marketplace(scale, rng=7).history()
    catalogue = Vocabulary(tables.items[Columns.ITEM_ID])
    asked = tables.impressions.unique(Columns.REQUEST_ID, keep="first", maintain_order=True).tail(400)
    columns = (Columns.USER_ID, Columns.SURFACE, Columns.TS, Columns.QUERY)
    requests = [Request(*row) for row in asked.select(columns).iter_rows()]
    allowed = np.random.default_rng(0).random(len(catalogue)) < 0.9
    figures: dict[str, Any] = {"items": len(catalogue)}
    kinds: tuple[type[Retriever], ...] = (Popular, Als, Bm25, Profile, Similar)
    for kind in kinds:
        retriever, figures[f"{kind.name}_fit_s"] = _timed(partial(kind().fit, tables, catalogue, rng=np.random.default_rng(0)))
        each = [_timed(partial(retriever.retrieve, request, 200, allowed=allowed))[1] for request in requests]
        figures[f"{kind.name}_p50_ms"] = float(np.median(each)) * 1e3
    quickest = ("popular", "als", "bm25")
    bars = [Bar.at_most(f"{name}: 200 of 10,000 items, p50 ms", figures[f"{name}_p50_ms"], 1.0) for name in quickest]
    return figures, {}, bars


def scifact(folder: Path, quick: bool) -> Part:
    """BM25 on BEIR's SciFact: claims that cite abstracts; a document is its title and its text."""
    documents = csv_rows(folder / "corpus_train.csv.gz")
    queries: dict[str, tuple[str, list[str]]] = {}
    for claim in csv_rows(folder / "claims_validation.csv.gz"):
        wanted = queries.setdefault(claim["id"], (claim["claim"], []))[1]
        wanted += claim["cited_doc_ids"].strip("[]").replace(",", " ").split()
    columns = {"item_id": "doc_id", "title": "title", "description": "abstract"}
    tables = items_only({name: [document[own] for document in documents] for name, own in columns.items()})
    found, figures = _search(Bm25(), tables, _some(queries, 100 if quick else None), depth=10)
    figures |= {"ndcg@10": float(of_lists(*found, k=10)["ndcg"].mean())}
    versus = {"BM25 (BEIR)": {"ndcg@10": 0.679}, "SPLADE++": {"ndcg@10": 0.704}, "bge-base": {"ndcg@10": 0.741}}
    theirs, measured = _tantivy(tables, _some(queries, 100 if quick else None), depth=10)
    versus["Tantivy"] = measured | {"ndcg@10": float(of_lists(theirs, found[1], k=10)["ndcg"].mean())}
    bars = [] if quick else [Bar.at_least("SciFact nDCG@10 of BM25", figures["ndcg@10"], 0.665)]
    return figures, versus, bars


def melo(folder: Path, quick: bool) -> Part:
    """BM25 from job titles to ESCO occupation titles, MELO usa_en; short texts, many right answers."""
    source = folder / "usa_q_en_c_en"
    elements = list(tsv_rows(source / "corpus_elements.tsv.gz"))
    tables = items_only({"item_id": [row[0] for row in elements], "title": [row[1] for row in elements]})
    wanted: dict[str, list[str]] = {}
    for query, _, item, _ in tsv_rows(source / "annotations.tsv"):
        wanted.setdefault(query, []).append(item)
    queries = {query: (text, wanted[query]) for query, text in tsv_rows(source / "queries.tsv") if query in wanted}
    found, figures = _search(Bm25(), tables, _some(queries, 100 if quick else None), depth=100)
    figures |= {
        "map": _mean_average_precision(*found),
        "mrr": float(of_lists(*found, k=100)["reciprocal_rank"].mean()),
        "hit@10": float(of_lists(*found, k=10)["hit"].mean()),
    }
    published = {"BM25": (0.136, 0.294, 0.488), "BM25 + lemmas": (0.231, 0.600, 0.749), "bge-m3": (0.326, 0.623, 0.845)}
    versus = {name: dict(zip(("map", "mrr", "hit@10"), values, strict=True)) for name, values in published.items()}
    return figures, versus, [] if quick else [Bar.at_least("MELO usa_en MAP of BM25", figures["map"], 0.231)]


def beauty(folder: Path, quick: bool) -> Part:
    """Leave the last item out, rank all others; neither method looks at the order, as sequential ones do."""
    rows = [[int(item) for item in line.split()[1:]] for line in (folder / "Beauty.txt").read_text().splitlines()]
    rows = rows[: 2_000 if quick else None]
    train = matrix_of([row[:-1] for row in rows], 1 + max(max(row) for row in rows))
    wanted = [row[-1:] for row in rows]
    als, seconds = _timed(lambda: Als(**BEAUTY).fit_matrix(train, rng=np.random.default_rng(0)))
    popular = np.asarray(train.sum(axis=0), np.float32)
    measured: dict[str, float] = {}
    for name, users, items in (
        ("als", als.user_factors, als.item_factors),
        ("popular", np.ones((len(rows), 1), np.float32), popular.reshape(-1, 1)),
    ):
        at_10 = of_lists(_ranked(users, items, train, 10), wanted, k=10)
        measured |= {f"{name}_hr@10": float(at_10["hit"].mean()), f"{name}_ndcg@10": float(at_10["ndcg"].mean())}
    versus = {"popularity": {"hr@10": 0.0135}, "SASRec": {"hr@10": 0.0605, "ndcg@10": 0.0318}}
    versus["what followed the last item"] = {"hr@10": 0.0709, "ndcg@10": 0.0482}
    return measured | {"als_fit_s": seconds}, versus, []


def gowalla(folder: Path, quick: bool) -> Part:
    """Recall@20 and NDCG@20 on LightGCN's split, against implicit's ALS with the same loss, dims and sweeps."""
    train, test = (check_ins(folder / f"{part}.txt.gz", 3_000 if quick else None) for part in ("train", "test"))
    items = 1 + max(max(row, default=0) for row in (*train, *test))
    matrix = matrix_of(train, items)
    settings = dict(GOWALLA, dims=32) if quick else GOWALLA
    ours, cost = _with_cost(lambda: Als(**settings).fit_matrix(matrix, rng=np.random.default_rng(0)))
    figures = _at_20(ours.user_factors, ours.item_factors, matrix, test) | cost
    theirs, their_cost = _with_cost(lambda: _implicit(matrix, settings))
    versus = {"implicit ALS": _at_20(*theirs, matrix, test) | their_cost}
    published = {
        "popularity": (0.0416, 0.0317),
        "MF-BPR": (0.1627, 0.1378),
        "EASE": (0.1765, 0.1467),
        "LightGCN": (0.1830, 0.1554),
    }
    versus |= {name: {"recall@20": recall, "ndcg@20": ndcg} for name, (recall, ndcg) in published.items()}
    if quick:
        return figures, versus, []
    ahead = figures["recall@20"] - versus["implicit ALS"]["recall@20"]
    bars = [
        Bar.at_least("Gowalla Recall@20 of ALS", figures["recall@20"], 0.17),
        Bar.at_least("Gowalla Recall@20 of ALS less implicit's", ahead, -0.001),
        Bar.at_most("Gowalla fit seconds of ALS / implicit's", cost["fit_s"] / their_cost["fit_s"], 1.0),
    ]
    return figures, versus, bars


def _implicit(train: sparse.csr_matrix, settings: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """implicit weighs what was not observed by 1, so ours is divided by `unobserved`."""
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.utils import threadpoolctl

    scale, threads = 1 / settings["unobserved"], len(os.sched_getaffinity(0))
    with threadpoolctl.threadpool_limits(1, "blas"):  # as its authors advise: it has threads of its own
        model = AlternatingLeastSquares(
            settings["dims"],
            settings["regularisation"] * scale,
            scale,
            iterations=settings["sweeps"],
            num_threads=threads,
            random_state=0,
        )
        model.fit(train, show_progress=False)
    return model.user_factors, model.item_factors


def _at_20(users: Floats, items: Floats, train: sparse.csr_matrix, test: list[list[int]]) -> dict[str, float]:
    asked = np.array([user for user, wanted in enumerate(test) if wanted])
    found = of_lists(_ranked(users, items, train, 20, asked), [test[user] for user in asked], k=20)
    return {f"{name}@20": float(found[name].mean()) for name in ("recall", "ndcg")}


def _ranked(users: Floats, items: Floats, train: sparse.csr_matrix, k: int, asked: Codes | None = None) -> Codes:
    """The `k` best items of each user asked for, those of the training set left out, `(users, k)`."""
    asked = np.arange(len(users)) if asked is None else asked
    parts = []
    for start in range(0, len(asked), 500):
        rows = asked[start : start + 500]
        scores = users[rows] @ items.T
        known = train[rows]
        scores[np.repeat(np.arange(len(rows)), np.diff(known.indptr)), known.indices] = -np.inf
        best = np.argpartition(-scores, k, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        parts.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(parts)


def _search(bm25: Bm25, tables: Tables, queries: Queries, depth: int) -> tuple[tuple[list[Codes], list[Codes]], dict[str, Any]]:
    """What is found and what is wanted for each query, and what it took."""
    catalogue = Vocabulary(tables.items[Columns.ITEM_ID])
    _, seconds = _timed(lambda: bm25.fit(tables, catalogue, rng=np.random.default_rng(0)))
    requests = [Request("", "job_search", None, text) for text, _ in queries.values()]  # type: ignore[arg-type]  # no clock here
    found, asking = _timed(lambda: [bm25.retrieve(request, depth).items for request in requests])
    wanted = [catalogue.encode(list(own)) for _, own in queries.values()]
    return (found, wanted), {"fit_s": seconds, "query_ms": asking / len(requests) * 1e3}


def _tantivy(tables: Tables, queries: Queries, depth: int) -> tuple[list[Codes], dict[str, Any]]:
    """The same by Tantivy's BM25 with its English stemmer over title and description, in memory."""
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("code", stored=True)
    for field in (Columns.TITLE, Columns.DESCRIPTION):
        builder.add_text_field(field, tokenizer_name="en_stem")

    def build() -> tantivy.Index:
        index = tantivy.Index(builder.build())
        writer = index.writer()
        for code, (title, text) in enumerate(tables.items.select(Columns.TITLE, Columns.DESCRIPTION).iter_rows()):
            writer.add_document(tantivy.Document(code=code, title=title, description=text))
        writer.commit()
        index.reload()
        return index

    def search(text: str) -> Codes:
        query, _ = index.parse_query_lenient(text, [Columns.TITLE, Columns.DESCRIPTION])
        hits = searcher.search(query, depth).hits
        return np.array([searcher.doc(address)["code"][0] for _, address in hits], np.int64)

    index, fitting = _timed(build)
    searcher = index.searcher()
    found, asking = _timed(lambda: [search(text) for text, _ in queries.values()])
    return found, {"fit_s": fitting, "query_ms": asking / len(queries) * 1e3}


def _mean_average_precision(found: list[Codes], wanted: list[Codes]) -> float:
    """As trec_eval has it: divided by all that was wanted, found or not."""
    values = []
    for items, own in zip(found, wanted, strict=True):
        hit = np.isin(items, own)
        values.append((np.cumsum(hit) / np.arange(1, len(hit) + 1))[hit].sum() / len(set(own.tolist())))
    return float(np.mean(values))


def _some(queries: Queries, most: int | None) -> Queries:
    return dict(list(queries.items())[:most])


def _timed(do: Callable[[], T]) -> tuple[T, float]:
    begin = time.perf_counter()
    return do(), time.perf_counter() - begin


def _with_cost(do: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """Seconds on the clock and of all cores together: on a busy machine only the second can be compared."""
    begin = time.process_time()
    done, seconds = _timed(do)
    return done, {"fit_s": seconds, "fit_cpu_s": time.process_time() - begin}
