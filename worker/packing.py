"""Makes small what lies in Redis once for each open cancellation.

Deflate with a dictionary of what such texts are made of brings a record's progress from 470 bytes to
about 120, in 4 µs; it is undone in less than 1. The dictionary is part of the format: changing it
takes a new one.
"""

from __future__ import annotations

import zlib

DICTIONARY = (
    b'"intent":{"action":"delete","job_id":"force:"retry_after":"detail":"unanswered":true,"probed":true,"allowed":true,'
    b'"count":2,"last":"busy""rejected""unanswered""not_found"{"delete":{"overdue":true,"failed_looks":1,"parent":true,'
    b'"probed_gone":true,"end":{"state":"failed""succeeded""gone","raw":"ERROR","verified":false,'
    b'"note":"the last look failed: no reply in time: GET at ","facts":{"oozie_job_id":"return_code":"cluster_id":'
    b'"request_id":"OML-","errorCode":"cause":"NON_TERMINAL","processPhase":"EXECUTION"},'
    b'"next":"look why the delete was not taken""look what the cancel has done"'
    b'"look again, the last look showed nothing""try the cancel again if the job is still untouched"'
    b'"look again, the job is not confirmed stopped"'
    b'"look again, the delete is not confirmed""look again; the force step is due at :00 UTC"'
    b'"look again; the force step is due and held by: remote_stopped"},"held":["+remote_stopped"],'
    b'"cancelling":{":{"at":17,"since_text":"T00:00:00.000+00:00Z"}},"state":"active","raw":"RUNNING",'
    b'"state":"cancelling","raw":"CANCELLING","seen_alive":true,"waits":1,"looked_at":17,'
    b'{"sent":{"cancel":{"first_at":17,"last_at":17,"last":"accepted","accepted":true}},"looks":1,"waits":1,"looked_at":17'
)
MARK = b"z"
"""The first byte of a packed text; an unpacked one is JSON and starts with a brace."""
LEVEL, WINDOW, MEMORY = 6, -12, 1
"""Deflate's: more gains nothing on a text of this size and costs its setting up."""


def pack(text: bytes) -> bytes:
    """Make a JSON text small; one of a few bytes stays as it is."""
    if len(text) < len(b'{"looks":1}'):
        return text
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW, MEMORY, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
    return MARK + deflate.compress(text) + deflate.flush()


def unpack(packed: bytes) -> bytes:
    """Return the text.

    Raises:
        zlib.error: nobody packed this.

    """
    if not packed.startswith(MARK):
        return packed
    return zlib.decompressobj(WINDOW, DICTIONARY).decompress(packed[len(MARK) :])
