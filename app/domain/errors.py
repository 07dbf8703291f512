"""Say what the service refuses beside bad input.

VttError
├── NotFoundError                  not_found: no such support set, job, model, image or alias
├── GoneError                      gone: it was there and has been deleted
├── ConflictError                  conflict: it is not in a state that allows this
│   ├── SupportSetFrozenError      support_set.frozen
│   ├── SupportSetInUseError       support_set.in_use
│   ├── JobTransitionError         job.illegal_transition
│   ├── ModelNotReadyError         model.not_ready
│   └── IdempotencyConflictError   idempotency.conflict
├── StaleLeaseError                job.stale_lease: the worker no longer holds the job
├── QueueUnavailableError          queue.unavailable
└── RequestTooLargeError           request.too_large
"""

from __future__ import annotations

from vtt_core.contract.errors import VttError


class NotFoundError(VttError):
    """Nothing has this id."""

    code = "not_found"
    title = "Not found"


class GoneError(VttError):
    """It existed and was deleted."""

    code = "gone"
    title = "Deleted"


class ConflictError(VttError):
    """Its state does not allow what was asked."""

    code = "conflict"
    title = "Not possible in this state"


class SupportSetFrozenError(ConflictError):
    """A job has used the support set, so it can no longer change."""

    code = "support_set.frozen"
    title = "Support set is frozen"


class SupportSetInUseError(ConflictError):
    """An unfinished job needs the support set."""

    code = "support_set.in_use"
    title = "Support set is in use"


class JobTransitionError(ConflictError):
    """The job cannot go from its state to the one asked for."""

    code = "job.illegal_transition"
    title = "Illegal job transition"


class ModelNotReadyError(ConflictError):
    """The job has not published its model yet, or never will."""

    code = "model.not_ready"
    title = "Model is not ready"


class IdempotencyConflictError(ConflictError):
    """The same Idempotency-Key came with another request."""

    code = "idempotency.conflict"
    title = "Idempotency-Key was used for another request"


class StaleLeaseError(VttError):
    """A worker wrote with a fencing token that is no longer the job's."""

    code = "job.stale_lease"
    title = "Lease lost"


class QueueUnavailableError(VttError):
    """The broker cannot be reached; the job row is kept and will be sent later."""

    code = "queue.unavailable"
    title = "Queue unavailable"


class RequestTooLargeError(VttError):
    """The request body is over the limit."""

    code = "request.too_large"
    title = "Request too large"
