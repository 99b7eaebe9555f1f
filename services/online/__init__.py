"""The online store: what people did until this second, in LMDB on one machine, in Redis or Valkey on several."""

from services.online.base import StateStore
from services.online.opening import open_store

__all__ = ["StateStore", "open_store"]
