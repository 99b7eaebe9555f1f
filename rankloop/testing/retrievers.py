"""What every retriever must do, as tests to inherit."""

# ruff: noqa: D102 - the name of a test is its sentence

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from rankloop.contracts import Columns, Tables
from rankloop.errors import ModelError, NotFitted
from rankloop.request import Request
from rankloop.retrieval.base import Retriever
from rankloop.splits import before
from rankloop.testing.world import group_of, known_request, known_world
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["RetrieverContract"]

_NEVER_SEEN = "never-seen"
"""An item of the catalogue that the tables know nothing of, not even a title."""


class RetrieverContract:
    """The tests a retriever inherits; its own test class gives `make` and its peculiarity.

    Not a measure of quality: it asks whether the answer is right where the right answer is known (`known_world`),
    and whether the retriever keeps the promises of its base class.

    Example:
        >>> class TestMine(RetrieverContract):
        ...     def make(self):
        ...         return MyRetriever(dims=8)
    """

    personal: ClassVar[bool] = True
    """Finds the items of the user's own trade first; False for a method that answers everybody alike."""

    answers_strangers: ClassVar[bool] = False
    """Has scores for a user it never met; False: all NaN."""

    _once: ClassVar[Retriever]

    def make(self) -> Retriever:
        """A new retriever, not fitted, small enough to learn the known world in a second."""
        raise NotImplementedError(f"{type(self).__name__} must define make()")

    def fitted(self) -> Retriever:
        """One fit for all tests of a class that only ask."""
        own = type(self)
        if "_once" not in own.__dict__:
            own._once = self._fit()
        return own._once

    def test_it_has_a_name_for_answers_and_features(self) -> None:
        name = self.make().name
        assert name.isidentifier()
        assert name == name.lower()

    def test_items_of_the_own_trade_come_first(self) -> None:
        if not self.personal:
            return
        catalogue = _catalogue()
        for request in _requests():
            found = self.fitted().retrieve(request, 10)
            assert len(found.items) == 10, f"only {len(found.items)} candidates for {request}"
            assert {group_of(id_) for id_ in catalogue.decode(found.items)} == {group_of(request.user_id)}, request

    def test_candidates_are_the_best_scores_in_order(self) -> None:
        retriever = self.fitted()
        for request in _requests():
            scores, found = retriever.score(request), retriever.retrieve(request, 7)
            assert found.scores.tolist() == np.sort(scores[~np.isnan(scores)])[::-1][:7].tolist()
            assert np.array_equal(found.scores, scores[found.items])
            assert len(set(found.items.tolist())) == len(found.items)

    def test_scores_are_one_float32_an_item_and_never_infinite(self) -> None:
        for request in _requests():
            scores = self.fitted().score(request)
            assert scores.shape == (len(_catalogue()),)
            assert scores.dtype == np.float32
            assert not np.isinf(scores).any()
            assert not np.isnan(scores).all()

    def test_scores_of_some_items_are_those_of_the_catalogue(self) -> None:
        retriever, some = self.fitted(), np.array([3, 0, 3, len(_catalogue()) - 1, 17])
        for request in _requests():
            np.testing.assert_array_equal(retriever.score(request, some), retriever.score(request)[some])

    def test_an_item_outside_the_catalogue_is_nan(self) -> None:
        for request in _requests():
            scores = self.fitted().score(request, np.array([UNKNOWN, 3, UNKNOWN]))
            assert np.isnan(scores[[0, 2]]).all()

    def test_an_item_the_tables_never_mention_is_nan(self) -> None:
        unseen = np.array([_catalogue().code(_NEVER_SEEN)])
        for request in _requests():
            assert np.isnan(self.fitted().score(request, unseen)).all()

    def test_a_stranger_gets_what_is_declared(self) -> None:
        known = _requests()[0]
        stranger = Request("stranger", known.surface, known.ts, known.query)
        scores = self.fitted().score(stranger)
        assert bool(np.isnan(scores).all()) is not self.answers_strangers
        assert (len(self.fitted().retrieve(stranger, 5).items) > 0) is self.answers_strangers

    def test_scores_of_many_lists_are_those_of_each(self) -> None:
        retriever, rng = self.fitted(), np.random.default_rng(0)
        known = _requests()[0]
        requests = [*_requests(), Request("stranger", known.surface, known.ts), Request(known.user_id, "job_feed", known.ts)]
        items = [rng.integers(UNKNOWN, len(_catalogue()), n) for n in range(len(requests))]
        found = retriever.score_lists(requests, items)
        assert len(found) == len(requests)
        for request, own, scores in zip(requests, items, found, strict=True):
            assert scores.dtype == np.float32
            np.testing.assert_array_equal(scores, retriever.score(request, own))

    def test_no_lists_have_no_scores(self) -> None:
        assert self.fitted().score_lists([], []) == []

    def test_only_allowed_items_are_retrieved(self) -> None:
        allowed = np.zeros(len(_catalogue()), bool)
        allowed[::4] = True
        for request in _requests():
            found = self.fitted().retrieve(request, 50, allowed=allowed)
            assert allowed[found.items].all()
            assert len(found.items) > 0
            assert len(self.fitted().retrieve(request, 50, allowed=np.zeros_like(allowed)).items) == 0

    def test_more_candidates_than_the_catalogue_holds_are_all_that_have_a_score(self) -> None:
        for request in _requests():
            known = ~np.isnan(self.fitted().score(request))
            assert len(self.fitted().retrieve(request, 10_000).items) == known.sum()

    def test_no_candidates_asked_for_are_no_candidates(self) -> None:
        assert len(self.fitted().retrieve(_requests()[0], 0).items) == 0

    def test_what_people_do_after_a_request_changes_nothing_for_it(self) -> None:
        world, catalogue = _world(), _catalogue()
        middle = _middle(world)
        fitted = self.make().fit(before(world, middle), catalogue, rng=np.random.default_rng(0))
        then, later = fitted.follow(before(world, middle), catalogue), fitted.follow(world, catalogue)
        for asked in _requests():
            request = Request(asked.user_id, asked.surface, middle, asked.query)
            np.testing.assert_array_equal(later.score(request), then.score(request))

    def test_following_leaves_the_retriever_as_it_was(self) -> None:
        fitted = self.make().fit(before(_world(), _middle(_world())), _catalogue(), rng=np.random.default_rng(0))
        answers = [fitted.score(request) for request in _requests()]
        fitted.follow(_world(), _catalogue())
        for request, answer in zip(_requests(), answers, strict=True):
            np.testing.assert_array_equal(fitted.score(request), answer)

    def test_what_was_saved_is_what_is_loaded(self, tmp_path: Path) -> None:
        retriever = self.fitted()
        retriever.save(tmp_path)
        loaded = type(retriever).load(tmp_path)
        for request in _requests():
            np.testing.assert_array_equal(loaded.score(request), retriever.score(request))
            assert loaded.retrieve(request, 9).items.tolist() == retriever.retrieve(request, 9).items.tolist()

    def test_the_same_seed_saves_the_same_bytes(self, tmp_path: Path) -> None:
        written = []
        for retriever, name in ((self.fitted(), "once"), (self._fit(), "again")):
            (folder := tmp_path / name).mkdir()
            retriever.save(folder)
            written.append({file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()})
        assert written[0].keys() == written[1].keys()
        assert [str(file) for file in written[0] if written[0][file] != written[1][file]] == []

    def test_nan_weights_are_refused(self, tmp_path: Path) -> None:
        import pytest

        self.fitted().save(tmp_path)
        spoiled = [file for file in sorted(tmp_path.rglob("*.npy")) if _spoil(file)]
        assert spoiled, "no .npy file of floats to spoil; override this test for another format"
        with pytest.raises(ModelError, match="NaN"):
            type(self.make()).load(tmp_path)

    def test_its_inputs_are_left_as_they_were(self) -> None:
        tables, copy = _world(), {name: frame.clone() for name, frame in _world()}
        retriever, some = self._fit(), np.array([5, 2, 2])
        retriever.score(_requests()[0], some)
        retriever.score(_requests()[0])[:] = 7  # what a caller does with an answer is no business of the next
        assert not np.array_equal(retriever.score(_requests()[0]), np.full(len(_catalogue()), 7, np.float32))
        assert some.tolist() == [5, 2, 2]
        assert all(frame.equals(copy[name]) for name, frame in tables)

    def test_a_retriever_that_was_not_fitted_says_so(self, tmp_path: Path) -> None:
        import pytest

        with pytest.raises(NotFitted):
            self.make().score(_requests()[0])
        with pytest.raises(NotFitted):
            self.make().retrieve(_requests()[0], 5)
        with pytest.raises(NotFitted):
            self.make().save(tmp_path)

    def _fit(self) -> Retriever:
        return self.make().fit(_world(), _catalogue(), rng=np.random.default_rng(0))


@cache
def _world() -> Tables:
    return known_world()


def _middle(world: Tables) -> datetime:
    """A moment with half of the log on either side."""
    return world.impressions[Columns.TS].sort()[world.impressions.height // 2]  # type: ignore[no-any-return]


@cache
def _catalogue() -> Vocabulary:
    return Vocabulary([*_world().items[Columns.ITEM_ID], _NEVER_SEEN])


@cache
def _requests() -> list[Request]:
    return [known_request(_world(), user) for user in _world().users[Columns.USER_ID].gather_every(7)]


def _spoil(file: Path) -> bool:
    """Puts a NaN into an npy file of floats; False where it holds something else."""
    array = np.load(file, allow_pickle=False)
    floats = np.issubdtype(array.dtype, np.floating) and array.size > 0
    if floats:
        array.flat[0] = np.nan
        np.save(file, array)
    return bool(floats)
