"""The contract: four tables, their columns, and what makes a row good."""

from rankloop.contracts.columns import GRADES, KINDS, SURFACES, Columns
from rankloop.contracts.tables import REQUIRED, SCHEMAS, TABLES, UTC, Tables

__all__ = ["Columns", "GRADES", "KINDS", "REQUIRED", "SCHEMAS", "SURFACES", "TABLES", "Tables", "UTC"]
