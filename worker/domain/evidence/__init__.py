"""PURE: what is believed. All evidence for an end, for a force and for our part in an end is weighed here alone.

Adapters report typed facts (`model.Observation`, `model.Answer`, each with its `Source`) and never decide what is
believed. The rules by file: `doubt`, answers that may not be the backend's own; `ending`, when an end is proven;
`family`, what is remembered about children; `clock`, when a backend's clock is trusted; `effect`, when an end may be
our doing; `proof`, what an attestation or the second source proves; `breaker`, what counts as an outage of the backend.
No decision about what to do next belongs here: that is `worker.domain.escalation`.
"""
