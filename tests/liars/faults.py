"""The faults that themes, lies and test ids are named after: seen in production or found in reviews."""

from __future__ import annotations

from collections.abc import Mapping

FAULTS: Mapping[str, str] = {
    "A1": "a success whose body is about no job counts as a sight of it",
    "A2": "another job's body is believed",
    "A3": "a gateway's 404 passes for the API's own",
    "A4": "the children of a parent below a parent are not seen",
    "A5": "a family is taken to be what one list shows",
    "A6": "a recurrence with thousands of past runs is read at each look",
    "A7": "one answer of the remote probe is proof, or its URL is not sent as written",
    "A8": "somebody's word outlives what refutes it",
    "A9": "booleans that are texts open the force gate",
    "A10": "one Date far off opens the force gate",
    "A11": "an end from before our call is taken for its effect",
    "A12": "a 200 with an error in its body is a yes",
    "A13": "one id at two addresses is taken for one job",
    "A15": "one of two fields for a result hides the other",
    "C1": "a backend repeats our credential, and an event tells it",
    "F2": "a gateway's 404 is proof that a job stopped",
    "F3": "a passing refusal ends a cancellation for good",
    "F7": "a reply is not read because of how it is wrapped",
    "F9": "a lasting refusal is asked for again and again",
    "F10": "Retry-After is heeded in some forms and places only",
    "F11": "a followed redirect shows a result in place of a state",
    "F12": "the Date of another server, or in another zone, counts",
    "F13": "a state in small letters is not known",
    "G5": "a Keystone URL that ends with /v3 is not understood",
    "G7": "a job that its backend shows late is not_found at once",
    "R1": "a record that somebody deleted proves that the job stopped",
    "R2": "an engine has forgotten a job whose record says how it ended",
    "R3": "answers about single jobs open a backend's breaker",
    "R4": "an engine answers later than our timeout",
    "R5": "a state that may be taken back counts as final",
}
