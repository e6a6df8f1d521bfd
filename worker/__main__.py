"""`python -m worker` is `canceller`."""

from .cli import main

if __name__ == "__main__":
    main()
