"""PURE: what is believed. Everything that may end, force or excuse a cancellation is weighed here and nowhere else.

Adapters report typed facts (`model.Observation`, `model.Answer`, each with its `Source`) and never decide what is
believed. The rules by file: `doubt`, answers that may not be the backend's own; `ending`, when an end is proven;
`family`, what is remembered of children; `clock`, when a backend's clock counts; `effect`, when an end may be our
doing; `proof`, what an attestation or the second source proves; `breaker`, what counts as an outage of the backend.
No decision about what to do next belongs here: that is `worker.domain.escalation`.
"""
