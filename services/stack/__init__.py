"""The laptop's stack: starts, watches and stops Ray, Serve and HAProxy, all under one home folder."""

from services.stack.stack import down, up
from services.stack.watch import LogLine, ProcessStatus, StackStatus, logs, status

__all__ = ["LogLine", "ProcessStatus", "StackStatus", "down", "logs", "status", "up"]
