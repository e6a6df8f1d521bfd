"""The board: a page for operators, and the ASGI app behind it. `app_for` is what a host mounts.

Here live pages, their streams, and the forms that send operators' actions through the client. The rules of cancelling
live elsewhere, and nothing here writes to Redis. Needs the extra `board`; no other room but the command line imports
this one.
"""

from .app import BoardApp, app_for

__all__ = ["BoardApp", "app_for"]
