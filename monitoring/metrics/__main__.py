"""`python -m monitoring.metrics` prints the tables of docs/guides/series.md."""

from monitoring.metrics.listing import page

__all__: list[str] = []

if __name__ == "__main__":
    print(page(), end="")
