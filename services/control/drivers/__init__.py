"""Drivers: how the control plane changes the world, and what it reads back of it."""

from services.control.drivers.base import Edges, Say, Server

__all__ = ["Edges", "Say", "Server"]
