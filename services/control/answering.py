"""What every route of the control plane does alike: who asks, work beside the event loop, refusals with their status."""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar
from urllib.parse import unquote

import msgspec
from litestar.exceptions import HTTPException
from sqlalchemy.exc import SQLAlchemyError

from rankloop.errors import BundleError, Conflict, ControlError, DataError, Missing, ModelError, SettingsError, StackError
from services.control.moments import moment
from services.http import Asked, decoded, request_id

__all__ = ["MOST", "Missing", "body", "choice", "name_in_path", "number", "present", "text", "when", "who", "worked"]

MOST: Final = 1000
"""Rows of the longest page."""

_CALLER: Final = re.compile(r"[ -~]{0,128}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_RETRY: Final = {"Retry-After": "5"}
_Body = TypeVar("_Body", bound=msgspec.Struct)
_T = TypeVar("_T")


async def worked(request: Asked, work: Callable[[], _T]) -> _T:
    """Does what may wait for a database or a disk in a thread, so that other requests are answered meanwhile.

    Raises:
        RuntimeError: the record cannot be read.
        HTTPException: 404, 409, 422 or 503, with the sentence of the error that was raised on purpose.
    """
    request_id(request)
    try:
        return await asyncio.to_thread(work)
    except msgspec.ValidationError as error:  # of the record: the body was decoded before, so the fault is ours
        raise RuntimeError(f"the record holds what this version cannot read: {error}") from error
    except Missing as error:
        raise HTTPException(status_code=404, detail=str(error)) from error
    except Conflict as error:
        raise HTTPException(status_code=409, detail=str(error)) from error
    except (ControlError, BundleError, ModelError, SettingsError) as error:
        if isinstance(error.__context__, SQLAlchemyError):
            raise HTTPException(status_code=503, detail=str(error), headers=_RETRY) from error
        raise HTTPException(status_code=422, detail=str(error)) from error
    except StackError as error:
        detail = f"{error}; the record stands, and the control plane goes on trying"
        raise HTTPException(status_code=503, detail=detail, headers=_RETRY) from error


def present(request: Asked, kind: str, name: str) -> str:
    """The name of a release or a canary that there is.

    Raises:
        Missing: there is none.
    """
    if not request.app.state.views.has(kind, name):
        lists = {"release": "/v1/releases", "canary": "/v1/canaries"}[kind]
        raise Missing(f"there is no {kind} {name[:128]!r}; GET {lists} names those that are")
    return name


async def body(request: Asked, kind: type[_Body]) -> _Body:
    """The body of a change; only JSON that says it is JSON, which no page of another site can send from a browser.

    Raises:
        HTTPException: 415, the body has another type.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json":
        raise HTTPException(status_code=415, detail=f"the body is {given[:64] or 'of no type'!r}; send application/json")
    return await decoded(request, kind)


def who(request: Asked, *, otherwise: str = "nobody named") -> str:
    """Whose name the history keeps: the token's, or where none is asked for, what the caller calls itself.

    Raises:
        DataError: the header holds no name.
    """
    given = request.headers.get("x-rankloop-who", "")
    if not _CALLER.fullmatch(given):
        raise DataError(f"X-Rankloop-Who is {given[:64]!r}; give at most 128 printable ASCII characters, others percent-encoded")
    tokens = request.app.state.tokens
    if tokens.enforced:
        entry = tokens.find(request.headers.get("authorization", "").partition(" ")[2].strip())
        return "unknown" if entry is None else str(entry.name)
    return "".join(one if one.isprintable() else "?" for one in unquote(given)).strip() or otherwise


def when(request: Asked, name: str) -> datetime | None:
    """A moment of the query; None where it is not given.

    Raises:
        DataError: it is none.
    """
    given = request.query_params.get(name)
    return None if given is None else moment(given)


def number(request: Asked, name: str, otherwise: int, least: int, most: int) -> int:
    """A whole number of the query.

    Raises:
        DataError: it is none, or out of range.
    """
    given = request.query_params.get(name)
    if given is None:
        return otherwise
    if not (given.isascii() and given.isdigit() and len(given) < 20 and least <= int(given) <= most):
        raise DataError(f"{name} is {given[:64]!r}; it must be a whole number from {least} to {most}")
    return int(given)


def text(request: Asked, name: str, most: int) -> str | None:
    """A text of the query; None where it is not given.

    Raises:
        DataError: it is too long.
    """
    given = request.query_params.get(name)
    if given is not None and len(given) > most:
        raise DataError(f"{name} has {len(given)} characters; it may have {most}")
    return given


def choice(request: Asked, name: str, among: Sequence[str]) -> str | None:
    """A word of the query; None where it is not given.

    Raises:
        DataError: it is none of those it may be.
    """
    given = request.query_params.get(name)
    if given is not None and given not in among:
        raise DataError(f"{name} is {given[:64]!r}; give one of {', '.join(among)}")
    return given


def name_in_path(request: Asked, name: str) -> str:
    """The name of something in the path.

    Raises:
        DataError: nothing can be called so.
    """
    given: str = request.path_params[name]
    if not _NAME.fullmatch(given):
        raise DataError(f"{name} is {given[:64]!r}; it has 1 to 128 letters, digits or '._-', a letter or digit first")
    return given
