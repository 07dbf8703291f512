"""Errors of the service. Those of the method itself are in vtt_core/contract/errors.py.

VttError
├── NotFoundError                  not_found: no such support set, job, model, image or alias
├── GoneError                      gone: it has been deleted
├── ConflictError                  conflict: it is not in a state that allows this
│   ├── SupportSetFrozenError      support_set.frozen
│   ├── SupportSetInUseError       support_set.in_use
│   ├── JobTransitionError         job.illegal_transition
│   ├── ModelNotReadyError         model.not_ready
│   └── IdempotencyConflictError   idempotency.conflict
├── StaleLeaseError                job.stale_lease: the worker no longer holds the job
├── QueueUnavailableError          queue.unavailable
├── OverloadedError                service.overloaded: more was asked than can be answered in time
├── PredictorNotReadyError         predictions.not_ready: the backbone is still being loaded
├── DataFolderInUseError           data_folder.in_use
├── ServiceNotUpError              service.not_up: the command line started it and it did not get ready
├── ServiceRefusedError            service.refused: what the service answered to the command line
├── BlobMissingError               store.missing: a row names bytes that the store does not have
├── StoreUnavailableError          store.unavailable: it does not answer, or refuses for now
├── DiskFullError                  disk.full: too little space is left to take more
├── RequestTooLargeError           request.too_large
├── RequestTooSlowError            request.too_slow: head or body did not arrive in time
├── InputError
│   ├── BadCursorError             cursor.invalid
│   ├── SettingsError              settings.invalid: a variable of the process environment
│   ├── DataFolderUnusableError    data_folder.unusable: it cannot be made or written to
│   ├── NamesFileError             names.invalid: class names for folders, given to the command line
│   ├── AdapterExistsError         adapter.exists: the command line would overwrite it
│   ├── InvalidRequestError        request.invalid: a field, parameter or header is wrong
│   ├── MalformedRequestError      request.malformed: the body cannot be parsed
│   ├── UnsupportedMediaTypeError  request.unsupported_media_type
│   ├── NothingUsableError         images.nothing_usable: every image was refused; it names each
│   └── BackupError                backup.invalid: `vtt backup` or `vtt restore` cannot use what was named
│       ├── NothingToBackUpError   backup.nothing
│       ├── BackupDamagedError     backup.damaged
│       ├── BackupTooNewError      backup.too_new
│       └── NotEmptyError          backup.not_empty
├── UnsafeHostError                access.unsafe_host: an open address without keys
├── AccessError                    access.refused: the caller may not do this
│   ├── KeyRequiredError           access.key_required
│   ├── KeyRefusedError            access.key_refused: unknown, expired, revoked
│   ├── MissingScopeError          access.missing_scope
│   ├── QuotaExceededError         access.quota_exceeded
│   ├── ForeignHostError           access.foreign_host: the Host header names another service
│   └── ForeignOriginError         access.foreign_origin: a page of another web site sent the request
├── RateLimitedError               access.rate_limited: it says when to come back
│   ├── TooManyAtOnceError         access.too_many_at_once: one client has used up its share of the open requests
│   └── TooManyFollowersError      access.too_many_followers: one tenant has used up its event streams
└── JobFailureError                job.failed: why a job ended without a model, beside errors of its input
    ├── WorkerLostError            job.worker_lost
    ├── OutOfMemoryError           job.out_of_memory
    └── JobCrashedError            job.crashed
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from vtt_core.contract.errors import InputError, VttError

LONGEST_RETRY_SECONDS = 120
"""A client is never asked to wait longer than this."""


class NotFoundError(VttError):
    """Nothing has this id."""

    code = "not_found"
    title = "Not found"


class GoneError(VttError):
    """It was deleted."""

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


class SettingsError(InputError):
    """A variable of the process environment has a value that it cannot have."""

    code = "settings.invalid"
    title = "Wrong setting"


class DataFolderUnusableError(InputError):
    """The data folder cannot be made or written to."""

    code = "data_folder.unusable"
    title = "Unusable data folder"


class NamesFileError(InputError):
    """The file of class names cannot be read or does not fit the folders."""

    code = "names.invalid"
    title = "Unusable file of class names"


class AdapterExistsError(InputError):
    """A command would overwrite an adapter."""

    code = "adapter.exists"
    title = "Adapter exists already"


class DataFolderInUseError(VttError):
    """Another service runs in the data folder."""

    code = "data_folder.in_use"
    title = "Data folder is in use"


class ServiceNotUpError(VttError):
    """A service that the command line started did not get ready."""

    code = "service.not_up"
    title = "The service did not start"


class ServiceRefusedError(VttError):
    """The service answered the command line with a problem document."""

    code = "service.refused"
    title = "The service refused"


class RequestTooLargeError(VttError):
    """The request body is over the limit."""

    code = "request.too_large"
    title = "Request too large"


class RequestTooSlowError(VttError):
    """The head or the body of the request arrived too slowly, or stopped arriving."""

    code = "request.too_slow"
    title = "Request too slow"


class OverloadedError(VttError):
    """The process has more requests than it can answer in time; no work on this one was started.

    Args:
        expected: as in VttError.
        got: as in VttError.
        retry_after_seconds: estimated time until there is room again.
    """

    code = "service.overloaded"
    title = "Service overloaded"

    def __init__(self, *, expected: str, got: str, retry_after_seconds: float) -> None:
        seconds = min(LONGEST_RETRY_SECONDS, max(1, math.ceil(retry_after_seconds)))
        super().__init__(expected=expected, got=got, remedy=f"Try again in {seconds} s (header Retry-After)")
        self.retry_after_seconds = seconds


class PredictorNotReadyError(VttError):
    """The process has not yet loaded what predictions need."""

    code = "predictions.not_ready"
    title = "Predictions are not ready"


class BlobMissingError(VttError):
    """The store has nothing under a key that a row names."""

    code = "store.missing"
    title = "Stored bytes are missing"


class StoreUnavailableError(VttError):
    """The store of images and adapters does not answer; trying again later may help."""

    code = "store.unavailable"
    title = "Store unavailable"


class DiskFullError(VttError):
    """Too little disk space is left; what is stored already is safe."""

    code = "disk.full"
    title = "Too little disk space"


class BadCursorError(InputError):
    """A paging cursor was not made by this service."""

    code = "cursor.invalid"
    title = "Unknown cursor"


class InvalidRequestError(InputError):
    """A field, a parameter or a header of the request is wrong."""

    code = "request.invalid"
    title = "Invalid request"


class MalformedRequestError(InputError):
    """The body cannot be parsed at all."""

    code = "request.malformed"
    title = "Malformed request"


class UnsupportedMediaTypeError(InputError):
    """The body is of another media type than the endpoint reads."""

    code = "request.unsupported_media_type"
    title = "Unsupported media type"


class NothingUsableError(InputError):
    """Every image of the request was refused, each with its own reason.

    Args:
        results: what became of each image, as the answer would have listed it.
        expected: as in VttError.
        got: as in VttError.
        remedy: as in VttError.
    """

    code = "images.nothing_usable"
    title = "No usable image"

    def __init__(self, *, results: Sequence[Mapping[str, Any]], expected: str, got: str, remedy: str) -> None:
        super().__init__(expected=expected, got=got, remedy=remedy)
        self.results = results


class BackupError(InputError):
    """A backup cannot be written from, or restored to, what was named."""

    code = "backup.invalid"
    title = "Backup cannot be used"


class NothingToBackUpError(BackupError):
    """The database has no tables of this service."""

    code = "backup.nothing"
    title = "Nothing to back up"


class BackupDamagedError(BackupError):
    """The archive was not written by `vtt backup`, is truncated, or its bytes have changed."""

    code = "backup.damaged"
    title = "Backup is damaged"


class BackupTooNewError(BackupError):
    """The backup was made by a newer version than this one."""

    code = "backup.too_new"
    title = "Backup was made by a newer version"


class NotEmptyError(BackupError):
    """A restore needs an empty installation, and this one holds data."""

    code = "backup.not_empty"
    title = "The installation is not empty"


class UnsafeHostError(VttError):
    """The service would listen on the network, and nothing would keep strangers out."""

    code = "access.unsafe_host"
    title = "Open address without keys"


class AccessError(VttError):
    """The caller may not do this."""

    code = "access.refused"
    title = "Refused"


class KeyRequiredError(AccessError):
    """The request came without a key."""

    code = "access.key_required"
    title = "Key required"


class KeyRefusedError(AccessError):
    """The key is unknown, has expired or was revoked."""

    code = "access.key_refused"
    title = "Key refused"


class MissingScopeError(AccessError):
    """The key does not allow this kind of request."""

    code = "access.missing_scope"
    title = "Key lacks the scope"


class QuotaExceededError(AccessError):
    """The tenant has reached its quota."""

    code = "access.quota_exceeded"
    title = "Quota exceeded"


class ForeignHostError(AccessError):
    """The request names a host that is not this service's, as after DNS rebinding."""

    code = "access.foreign_host"
    title = "Foreign host name"


class ForeignOriginError(AccessError):
    """A page of another web site sent a request that would change something."""

    code = "access.foreign_origin"
    title = "Foreign origin"


class RateLimitedError(VttError):
    """Too many requests came in too short a time.

    Args:
        expected: as in VttError.
        got: as in VttError.
        remedy: as in VttError.
        retry_after_seconds: when the client may try again.
    """

    code = "access.rate_limited"
    title = "Too many requests"

    def __init__(self, *, expected: str, got: str, remedy: str, retry_after_seconds: int) -> None:
        super().__init__(expected=expected, got=got, remedy=remedy)
        self.retry_after_seconds = retry_after_seconds


class TooManyAtOnceError(RateLimitedError):
    """One client has used up its share of open requests or connections; others are still answered."""

    code = "access.too_many_at_once"
    title = "Too many requests at once"


class TooManyFollowersError(RateLimitedError):
    """One tenant has used up its event streams."""

    code = "access.too_many_followers"
    title = "Too many event streams"


class JobFailureError(VttError):
    """A job ended without a model; the cause lies with the service, not with the images."""

    code = "job.failed"
    title = "Job failed"


class WorkerLostError(JobFailureError):
    """The worker vanished in the middle of every attempt."""

    code = "job.worker_lost"
    title = "Worker lost"


class OutOfMemoryError(JobFailureError):
    """The device or the machine had too little memory for the fine-tuning."""

    code = "job.out_of_memory"
    title = "Out of memory"


class JobCrashedError(JobFailureError):
    """The last attempt failed with an unexpected exception."""

    code = "job.crashed"
    title = "Unexpected failure"


def error_facts(error: VttError) -> dict[str, str]:
    """Return the fields of an error that rows and problem documents hold."""
    return {
        "code": error.code,
        "title": error.title,
        "expected": error.expected,
        "got": error.got,
        "remedy": error.remedy,
    }
