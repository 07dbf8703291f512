"""The methods that `Client` and `AsyncClient` share: each is made of an operation, and the client says how it waits for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar, overload

from vtt_client import (
    background_operations,
    job_operations,
    model_operations,
    predict_operations,
    set_operations,
)
from vtt_client.calls import Operation

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Waits(ABC):
    """A client whose methods return what they have got."""

    @abstractmethod
    def carry_out(self, operation: Operation[Result]) -> Result:
        """Say an operation to the service, and return what comes of it."""


class Awaits(ABC):
    """A client whose methods are awaited."""

    @abstractmethod
    async def carry_out(self, operation: Operation[Result]) -> Result:
        """Say an operation to the service, and return what comes of it."""


class Method(Generic[Arguments, Result]):
    """An operation as a method of both clients.

    Args:
        operation: what it says to the service.
    """

    def __init__(self, operation: Callable[Arguments, Operation[Result]]) -> None:
        self._operation = operation

    @overload
    def __get__(self, client: Waits, kind: type) -> Callable[Arguments, Result]: ...
    @overload
    def __get__(self, client: Awaits, kind: type) -> Callable[Arguments, Coroutine[None, None, Result]]: ...
    @overload
    def __get__(self, client: None, kind: type) -> Callable[Arguments, Operation[Result]]: ...
    def __get__(self, client: Waits | Awaits | None, kind: type) -> Callable[Arguments, Any]:
        """Return the method of a client; of a class the operation, so that `help` shows its text."""
        if client is None:
            return self._operation

        @wraps(self._operation)
        def method(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Any:
            return client.carry_out(self._operation(*args, **kwargs))

        return method


class Methods:
    """All that can be asked of the service, but for following a job."""

    upload = Method(set_operations.upload)
    support_sets = Method(set_operations.support_sets)
    support_set = Method(set_operations.support_set)
    inspect = Method(set_operations.inspect)
    add_images = Method(set_operations.add_images)
    change_support_set = Method(set_operations.change_support_set)
    copy_support_set = Method(set_operations.copy_support_set)
    set_groups = Method(set_operations.set_groups)
    rename_class = Method(set_operations.rename_class)
    remove_class = Method(set_operations.remove_class)
    change_image = Method(set_operations.change_image)
    remove_image = Method(set_operations.remove_image)

    backbones = Method(job_operations.backbones)
    train = Method(job_operations.train)
    add_classes = Method(job_operations.add_classes)
    jobs = Method(job_operations.jobs)
    job = Method(job_operations.job)
    cancel = Method(job_operations.cancel)
    wait = Method(job_operations.wait)

    models = Method(model_operations.models)
    model = Method(model_operations.model)
    change_model = Method(model_operations.change_model)
    pin = Method(model_operations.pin)
    unpin = Method(model_operations.unpin)
    aliases = Method(model_operations.aliases)
    alias = Method(model_operations.alias)
    point_alias = Method(model_operations.point_alias)
    delete_alias = Method(model_operations.delete_alias)
    export = Method(model_operations.export)
    exports = Method(model_operations.exports)
    wait_for_export = Method(model_operations.wait_for_export)
    download = Method(model_operations.download)

    predict = Method(predict_operations.predict)
    predict_files = Method(predict_operations.predict_files)
    predict_folder = Method(predict_operations.predict_folder)
    attention = Method(predict_operations.attention)
    evaluate = Method(predict_operations.evaluate)
    compare = Method(predict_operations.compare)
    evaluations = Method(predict_operations.evaluations)
    evaluation = Method(predict_operations.evaluation)

    start_batch = Method(background_operations.start_batch)
    batches = Method(background_operations.batches)
    batch = Method(background_operations.batch)
    wait_for_batch = Method(background_operations.wait_for_batch)
    cancel_batch = Method(background_operations.cancel_batch)
    batch_result = Method(background_operations.batch_result)
    create_webhook = Method(background_operations.create_webhook)
    webhooks = Method(background_operations.webhooks)
    webhook = Method(background_operations.webhook)

    delete = Method(job_operations.delete)
