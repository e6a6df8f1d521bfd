"""`python -m worker` is `canceller`."""

from worker.cli import main

if __name__ == "__main__":
    main()
