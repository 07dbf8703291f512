"""Define the errors of the service, besides those of the method itself.

VttError
├── NotFoundError                  not_found: no such support set, job, model, image, batch, webhook or alias
├── GoneError                      gone: it has been deleted
├── ConflictError                  conflict: its state does not allow this
│   ├── SupportSetFrozenError      support_set.frozen
│   ├── SupportSetInUseError       support_set.in_use
│   ├── NegativeClassTakenError    support_set.negative_class_taken
│   ├── BandsFixedError            support_set.bands_fixed
│   ├── LabelTakenError            support_set.label_taken: another class has the label
│   ├── JobTransitionError         job.illegal_transition
│   ├── ModelNotReadyError         model.not_ready
│   ├── InterimModelError          model.interim: its job's own model will replace it
│   ├── ClassExistsError           model.class_exists: a class to add is in the model already
│   ├── BatchNotReadyError         batch.not_ready: it has no result yet, or never will
│   ├── ExportNotReadyError        export.not_ready: it has no files yet, or could not be made
│   ├── BatchEndedError            batch.ended: nothing is left to cancel
│   └── IdempotencyConflictError   idempotency.conflict
├── StaleLeaseError                job.stale_lease: the worker no longer holds the job
├── QueueUnavailableError          queue.unavailable
├── OverloadedError                service.overloaded: too many requests to answer in time
├── PredictorNotReadyError         predictions.not_ready: the backbone is still being loaded
├── DataFolderInUseError           data_folder.in_use
├── ServiceNotUpError              service.not_up: the command line started the service, which did not become ready
├── ServiceRefusedError            service.refused: the service refused a request of the command line
├── BlobMissingError               store.missing: a row names bytes that are not in the store
├── StoreUnavailableError          store.unavailable: the store does not answer
├── DiskFullError                  disk.full: too little disk space
├── RequestTooLargeError           request.too_large
├── RequestTooSlowError            request.too_slow: head or body did not arrive in time
├── InputError
│   ├── BadCursorError             cursor.invalid
│   ├── SettingsError              settings.invalid: an environment variable has an invalid value
│   ├── DataFolderUnusableError    data_folder.unusable: it cannot be created or written to
│   ├── NamesFileError             names.invalid: the command line cannot use the file of class names
│   ├── AdapterExistsError         adapter.exists: the command line would overwrite it
│   ├── InvalidRequestError        request.invalid: a field, parameter or header is wrong
│   ├── MalformedRequestError      request.malformed: the body cannot be parsed
│   ├── UnsupportedMediaTypeError  request.unsupported_media_type
│   ├── WebhookUrlError            webhook.bad_url: events cannot be sent there
│   ├── NothingUsableError         images.nothing_usable: every image was refused, each with its own error
│   └── BackupError                backup.invalid: `vtt backup` or `vtt restore` cannot use what was named
│       ├── NothingToBackUpError   backup.nothing
│       ├── BackupDamagedError     backup.damaged
│       ├── BackupTooNewError      backup.too_new
│       └── NotEmptyError          backup.not_empty
├── UnsafeHostError                access.unsafe_host: an address that others reach, without keys
├── AccessError                    access.refused: the caller may not do this
│   ├── KeyRequiredError           access.key_required
│   ├── KeyRefusedError            access.key_refused: unknown, expired, revoked
│   ├── ForgedFormError            access.forged_form: not from one of the service's own pages
│   ├── MissingScopeError          access.missing_scope
│   ├── QuotaExceededError         access.quota_exceeded
│   ├── ForeignHostError           access.foreign_host: the Host header names another service
│   └── ForeignOriginError         access.foreign_origin: a page of another web site sent the request
├── RateLimitedError               access.rate_limited: it says when to try again
│   ├── TooManyAtOnceError         access.too_many_at_once: one client has its share of open requests or connections
│   └── TooManyFollowersError      access.too_many_followers: one tenant has as many event streams as it may
└── JobFailureError                job.failed: a job ended without a model, although its input was right
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
"""Longest time that a client is asked to wait before it tries again."""


class NotFoundError(VttError):
    """Nothing has this id."""

    code = "not_found"
    title = "Not found"


class GoneError(VttError):
    """It has been deleted."""

    code = "gone"
    title = "Deleted"


class ConflictError(VttError):
    """Its state does not allow the request."""

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


class NegativeClassTakenError(ConflictError):
    """Another class of the support set is the negative one."""

    code = "support_set.negative_class_taken"
    title = "Another class is the negative one"


class BandsFixedError(ConflictError):
    """The support set has images, which were read in its bands."""

    code = "support_set.bands_fixed"
    title = "The bands of this support set are fixed"


class LabelTakenError(ConflictError):
    """A class of a support set is to be renamed, and another one has the new label."""

    code = "support_set.label_taken"
    title = "Another class has this label"


class JobTransitionError(ConflictError):
    """The job cannot go from its state to the one asked for."""

    code = "job.illegal_transition"
    title = "Illegal job transition"


class ModelNotReadyError(ConflictError):
    """The job has not published its model yet, or never will."""

    code = "model.not_ready"
    title = "Model is not ready"


class InterimModelError(ConflictError):
    """The model serves only until its job's own is there, so nothing may depend on it."""

    code = "model.interim"
    title = "The model will be replaced"


class ClassExistsError(ConflictError):
    """A class that is to be added to a model is one of its classes already."""

    code = "model.class_exists"
    title = "The model has this class already"


class BatchNotReadyError(ConflictError):
    """The batch has no result yet, or never will."""

    code = "batch.not_ready"
    title = "The batch has no result"


class ExportNotReadyError(ConflictError):
    """The export has no files yet, or never will."""

    code = "export.not_ready"
    title = "The export is not ready"


class BatchEndedError(ConflictError):
    """The batch has ended, so it cannot be cancelled."""

    code = "batch.ended"
    title = "The batch has ended"


class IdempotencyConflictError(ConflictError):
    """The same Idempotency-Key was used for a different request."""

    code = "idempotency.conflict"
    title = "Idempotency-Key was used for a different request"


class StaleLeaseError(VttError):
    """A worker wrote with a fencing token that is no longer the job's."""

    code = "job.stale_lease"
    title = "Lease lost"


class QueueUnavailableError(VttError):
    """The broker cannot be reached; the job is kept, and its message is sent later."""

    code = "queue.unavailable"
    title = "Queue unavailable"


class SettingsError(InputError):
    """An environment variable has an invalid value."""

    code = "settings.invalid"
    title = "Invalid setting"


class DataFolderUnusableError(InputError):
    """The data folder cannot be created or written to."""

    code = "data_folder.unusable"
    title = "Unusable data folder"


class NamesFileError(InputError):
    """The file of class names cannot be read or does not fit the folders."""

    code = "names.invalid"
    title = "Unusable file of class names"


class AdapterExistsError(InputError):
    """A command would overwrite an existing adapter."""

    code = "adapter.exists"
    title = "Adapter exists already"


class DataFolderInUseError(VttError):
    """Another service runs in the data folder."""

    code = "data_folder.in_use"
    title = "Data folder is in use"


class ServiceNotUpError(VttError):
    """A service that the command line started did not become ready."""

    code = "service.not_up"
    title = "The service did not start"


class ServiceRefusedError(VttError):
    """The service refused a request of the command line."""

    code = "service.refused"
    title = "The service refused the request"


class RequestTooLargeError(VttError):
    """The request body is over the limit."""

    code = "request.too_large"
    title = "Request too large"


class RequestTooSlowError(VttError):
    """The head or the body of the request arrived too slowly, or stopped arriving."""

    code = "request.too_slow"
    title = "Request too slow"


class OverloadedError(VttError):
    """The process has too many requests to answer this one in time; it has not begun to work on it.

    Args:
        expected: as in VttError.
        got: as in VttError.
        retry_after_seconds: estimate of when to try again.
    """

    code = "service.overloaded"
    title = "Service overloaded"

    def __init__(self, *, expected: str, got: str, retry_after_seconds: float) -> None:
        seconds = min(LONGEST_RETRY_SECONDS, max(1, math.ceil(retry_after_seconds)))
        super().__init__(expected=expected, got=got, remedy=f"Try again in {seconds} s (header Retry-After)")
        self.retry_after_seconds = seconds


class PredictorNotReadyError(VttError):
    """The process has not loaded the backbone yet."""

    code = "predictions.not_ready"
    title = "Predictions are not ready"


class BlobMissingError(VttError):
    """A row names a key under which the store has nothing."""

    code = "store.missing"
    title = "Stored bytes are missing"


class StoreUnavailableError(VttError):
    """The store of images and adapters does not answer; a later try may succeed."""

    code = "store.unavailable"
    title = "Store unavailable"


class DiskFullError(VttError):
    """Too little disk space is left; stored data is safe."""

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
    """The endpoint does not read bodies of this media type."""

    code = "request.unsupported_media_type"
    title = "Unsupported media type"


class WebhookUrlError(InputError):
    """Events cannot be sent to the URL, or may not."""

    code = "webhook.bad_url"
    title = "Unusable address of a webhook"


class NothingUsableError(InputError):
    """Every image of the request was refused, each with its own reason.

    Args:
        results: the result for each image, in the form of the answer.
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
    """A backup cannot be written or restored with what was named."""

    code = "backup.invalid"
    title = "Backup cannot be used"


class NothingToBackUpError(BackupError):
    """The database has no tables of this service."""

    code = "backup.nothing"
    title = "Nothing to back up"


class BackupDamagedError(BackupError):
    """The archive was not written by `vtt backup`, is incomplete, or has changed since."""

    code = "backup.damaged"
    title = "Backup is damaged"


class BackupTooNewError(BackupError):
    """The backup was written by a newer version than this one."""

    code = "backup.too_new"
    title = "Backup is from a newer version"


class NotEmptyError(BackupError):
    """A restore would add to existing data."""

    code = "backup.not_empty"
    title = "The installation is not empty"


class UnsafeHostError(VttError):
    """The service would listen on an address that other machines reach, although it requires no key."""

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


class ForgedFormError(AccessError):
    """A form or script did not send the token of one of the service's own pages."""

    code = "access.forged_form"
    title = "Form of another page"


class MissingScopeError(AccessError):
    """The key does not allow this kind of request."""

    code = "access.missing_scope"
    title = "Key without this scope"


class QuotaExceededError(AccessError):
    """The tenant would have more than its quota."""

    code = "access.quota_exceeded"
    title = "Quota exceeded"


class ForeignHostError(AccessError):
    """The Host header does not name this service, as happens after DNS rebinding."""

    code = "access.foreign_host"
    title = "Foreign host name"


class ForeignOriginError(AccessError):
    """A page of another web site sent a request that would change data."""

    code = "access.foreign_origin"
    title = "Foreign origin"


class RateLimitedError(VttError):
    """The caller sent too many requests in too short a time.

    Args:
        expected: as in VttError.
        got: as in VttError.
        remedy: as in VttError.
        retry_after_seconds: when to try again.
    """

    code = "access.rate_limited"
    title = "Too many requests"

    def __init__(self, *, expected: str, got: str, remedy: str, retry_after_seconds: int) -> None:
        super().__init__(expected=expected, got=got, remedy=remedy)
        self.retry_after_seconds = retry_after_seconds


class TooManyAtOnceError(RateLimitedError):
    """One client has its share of open requests or connections; other clients are still answered."""

    code = "access.too_many_at_once"
    title = "Too many requests at once"


class TooManyFollowersError(RateLimitedError):
    """One tenant has as many open event streams as it may."""

    code = "access.too_many_followers"
    title = "Too many event streams"


class JobFailureError(VttError):
    """A job ended without a model because of the service, not because of its images."""

    code = "job.failed"
    title = "Job failed"


class WorkerLostError(JobFailureError):
    """The worker was lost in every attempt."""

    code = "job.worker_lost"
    title = "Worker lost"


class OutOfMemoryError(JobFailureError):
    """The device or the machine has too little memory for the fine-tuning."""

    code = "job.out_of_memory"
    title = "Out of memory"


class JobCrashedError(JobFailureError):
    """The last attempt ended with an unexpected error."""

    code = "job.crashed"
    title = "Unexpected failure"


def error_facts(error: VttError) -> dict[str, str]:
    """Return the fields of an error in a row or a problem document."""
    return {
        "code": error.code,
        "title": error.title,
        "expected": error.expected,
        "got": error.got,
        "remedy": error.remedy,
    }
