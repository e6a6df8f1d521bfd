"""The board: a page for operators, and the ASGI app behind it. `app_for` is what a host mounts.

This package holds the pages, their streams, and the forms that send operators' actions through the client. The rules of
cancelling are elsewhere, and nothing here writes to Redis. It needs the extra `board`; the command line alone loads it.
"""

from .app import BoardApp, app_for

__all__ = ["BoardApp", "app_for"]
