"""The domain library of Rankloop: tables and arrays in, tables and arrays out.

No web framework, no cluster, no clock of its own. Read it in the order the data meets it:
`contracts`, `sources`, `simulation`, `splits`, `features`, `text`, `retrieval`, `ranking`,
`metrics`, `gate`, `bundle`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
