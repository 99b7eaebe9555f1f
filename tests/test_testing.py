"""The known world is what it says, and the contracts notice a model that breaks them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankloop.contracts import SCHEMAS, Columns
from rankloop.errors import DataError, ModelError, NotFitted
from rankloop.ranking.base import Ranker
from rankloop.retrieval.base import Retriever
from rankloop.testing import RankerContract, RetrieverContract, group_of, known_request, known_world


def _trade(column: str) -> pl.Expr:
    return pl.col(column).str.split("-").list.first()


def test_the_known_world_keeps_the_contract():
    for name, frame in known_world():
        assert dict(frame.schema) == {
            column: type_() if isinstance(type_, type) else type_ for column, type_ in SCHEMAS[name].items()
        }


def test_nobody_acts_on_an_item_of_another_trade():
    outcomes = known_world().outcomes
    assert outcomes.filter(_trade(Columns.USER_ID) != _trade(Columns.ITEM_ID)).height == 0
    assert outcomes.height > 1000


def test_every_request_shows_own_and_foreign_items_in_no_order():
    impressions = known_world().impressions.with_columns(own=_trade(Columns.USER_ID) == _trade(Columns.ITEM_ID))
    by_request = impressions.group_by(Columns.REQUEST_ID).agg(pl.col("own").mean(), pl.col(Columns.ITEM_ID).n_unique(), pl.len())
    assert by_request["own"].unique().to_list() == [1 / 2]
    assert by_request["len"].unique().to_list() == by_request[Columns.ITEM_ID].unique().to_list() == [10]
    by_position = impressions.group_by(Columns.POSITION).agg(pl.col("own").mean())
    assert by_position["own"].min() > 0.4


def test_every_outcome_has_its_impression_before_it():
    tables = known_world()
    joined = tables.outcomes.join(tables.impressions, on=[Columns.REQUEST_ID, Columns.USER_ID, Columns.ITEM_ID], how="left")
    assert joined.filter((pl.col(Columns.TS) > pl.col("ts_right")).not_() | pl.col("ts_right").is_null()).height == 0


def test_the_same_seed_is_the_same_world_and_another_is_another():
    assert all(frame.equals(again) for (_, frame), (_, again) in zip(known_world(rng=1), known_world(rng=1), strict=True))
    assert not known_world(rng=1).outcomes.equals(known_world(rng=2).outcomes)


def test_a_known_request_comes_after_the_last_event_and_asks_for_the_own_trade():
    tables = known_world(days=3)
    request = known_request(tables, "tax-u1")
    assert request.ts > tables.outcomes[Columns.TS].max()
    assert request.query == group_of(request.user_id) == "tax"


@pytest.mark.parametrize("wrong", [{"groups": 1}, {"groups": 7}, {"items_per_group": 1}, {"users_per_group": 0}, {"days": 0}])
def test_a_world_that_cannot_be_is_refused(wrong):
    with pytest.raises(DataError, match=next(iter(wrong))):
        known_world(**wrong)


class _Same(Retriever):
    """Scores everything 1: it knows nobody, forgets nothing and refuses nothing."""

    name = "same"

    def fit(self, tables, catalogue, *, rng):
        self.size = len(catalogue)
        return self

    def score(self, request, items=None):
        if not hasattr(self, "size"):
            raise NotFitted("fit first")
        return np.ones(self.size if items is None else len(items), np.float32)

    def save(self, folder):
        np.save(folder / "size.npy", self.size)

    @classmethod
    def load(cls, folder):
        raise ModelError("not now")


class _SameContract(RetrieverContract):
    def make(self):
        return _Same()


class _Constant(Ranker):
    """Scores everything 0."""

    name = "constant"

    def fit(self, train, validation=None, *, rng):
        self.names = train.names
        return self

    def score(self, features):
        return np.zeros(len(features), np.float32)

    def contributions(self, features):
        return np.ones((len(features), features.shape[1] + 1), np.float32)

    def importance(self):
        return dict.fromkeys(self.names, 1.0)

    def save(self, folder):
        raise ModelError("not now")

    @classmethod
    def load(cls, folder):
        raise ModelError("not now")


class _ConstantContract(RankerContract):
    def make(self):
        return _Constant()


def _fails(contract: RetrieverContract | RankerContract, folder: Path) -> set[str]:
    failed = set()
    for name in dir(contract):
        if name.startswith("test_"):
            test = getattr(contract, name)
            (own := folder / name).mkdir()
            try:
                test(own) if "tmp_path" in test.__code__.co_varnames[: test.__code__.co_argcount] else test()
            except (AssertionError, ModelError, AttributeError, pytest.fail.Exception):
                failed.add(name)
    return failed


def test_the_retriever_contract_notices_what_a_bad_retriever_gets_wrong(tmp_path):
    failed = _fails(_SameContract(), tmp_path)
    assert failed == {
        "test_items_of_the_own_trade_come_first",
        "test_an_item_outside_the_catalogue_is_nan",
        "test_an_item_the_tables_never_mention_is_nan",
        "test_a_stranger_gets_what_is_declared",
        "test_what_was_saved_is_what_is_loaded",
        "test_nan_weights_are_refused",
        "test_a_retriever_that_was_not_fitted_says_so",
    }


def test_the_ranker_contract_notices_what_a_bad_ranker_gets_wrong(tmp_path):
    failed = _fails(_ConstantContract(), tmp_path)
    assert failed == {
        "test_the_feature_that_decides_the_grades_decides_the_order",
        "test_contributions_sum_to_the_score",
        "test_importance_is_a_share_of_each_feature_and_the_deciding_one_is_first",
        "test_what_was_saved_is_what_is_loaded",
        "test_it_learns_without_validation_lists",
        "test_another_number_of_features_is_refused",
        "test_validation_lists_with_other_features_are_refused",
        "test_names_that_do_not_fit_the_columns_are_refused",
        "test_an_empty_training_set_is_refused",
        "test_a_ranker_that_was_not_fitted_says_so",
    }
