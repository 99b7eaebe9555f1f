"""The report of an evaluation: one page of HTML, from plain numbers."""

from rankloop.report.inputs import Cell, Estimate, ReportInput, Role, Slice, System, Table, Trial
from rankloop.report.render import render

__all__ = ["Cell", "Estimate", "ReportInput", "Role", "Slice", "System", "Table", "Trial", "render"]
