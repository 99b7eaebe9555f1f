"""The retrieval benchmark: it names the data it lacks, reads the publishers' formats, and measures as they do."""

import gzip

import numpy as np
import pytest
from scipy import sparse

from benchmarks import retrieval
from benchmarks._public import check_ins, csv_rows, items_only, matrix_of, tsv_rows


def test_data_that_are_not_there_are_skipped_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(retrieval, "DATA", tmp_path)
    result = retrieval.run(quick=True)
    assert {name for name, value in result.figures.items() if "skipped" in str(value)} == {"scifact", "melo", "beauty", "gowalla"}
    assert result.figures["serving items"] > 0


def test_public_formats_are_read(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b'id,text\n1,"one, two"\n'))
    (tmp_path / "b.tsv").write_text("q1\t0\tc1\t1\n")
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"0 3 4\n2 5\n"))
    assert csv_rows(tmp_path / "a.csv.gz") == [{"id": "1", "text": "one, two"}]
    assert list(tsv_rows(tmp_path / "b.tsv")) == [["q1", "0", "c1", "1"]]
    assert check_ins(tmp_path / "c.txt.gz", None) == [[3, 4], [], [5]]


def test_a_matrix_holds_1_where_a_row_has_an_item_however_often():
    assert matrix_of([[0, 2, 2], []], 3).toarray().tolist() == [[1, 0, 1], [0, 0, 0]]


def test_a_catalogue_without_a_log_keeps_the_contract():
    tables = items_only({"item_id": ["a"], "title": ["red"]})
    assert tables.rows() == {"items": 1, "users": 0, "impressions": 0, "outcomes": 0}


def test_ranked_items_leave_out_those_of_the_training_set():
    users, items = np.array([[1.0]], np.float32), np.array([[4.0], [3.0], [2.0], [1.0]], np.float32)
    train = sparse.csr_matrix(np.array([[1.0, 0, 0, 0]], np.float32))
    assert retrieval._ranked(users, items, train, 2).tolist() == [[1, 2]]


def test_average_precision_is_divided_by_all_that_was_wanted():
    found, wanted = [np.array([7, 8, 9])], [np.array([7, 9, 1, 2])]
    assert retrieval._mean_average_precision(found, wanted) == pytest.approx((1 + 2 / 3) / 4)
