"""`python -m worker.simulator`: run the simulator from a shell."""

from __future__ import annotations

import argparse

from .server import run


def main() -> None:
    """Read the command line and run until interrupted."""
    parser = argparse.ArgumentParser(prog="simulator", description="Simulate ESS, OML, MRS and Sahara on one port.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds per real second")
    parser.add_argument("--jobs", metavar="FILE", help="TOML or JSON with knobs, jobs and faults")
    options = parser.parse_args()
    try:
        run(options.host, options.port, options.speed, options.jobs)
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
