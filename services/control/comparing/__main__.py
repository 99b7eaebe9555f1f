"""`python -m services.control.comparing BUNDLE`: reads requests from its input and writes the bundle's answers, as JSON."""

import sys

from rankloop.errors import RankloopError
from services.control.comparing.ranked import main

__all__: list[str] = []

if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(main(sys.argv[1], sys.stdin.buffer.read()))
    except RankloopError as error:
        sys.exit(str(error))
