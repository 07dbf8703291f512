from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.cli.demo import running_service
from tests.e2e.cluster import Cluster


@pytest.fixture(scope="module")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running service: `vtt up` with its Redis, worker and API processes."""
    with pytest.MonkeyPatch.context() as patch:
        # Short, so that the job of a killed worker is soon taken over.
        patch.setenv("VTT_LEASE_SECONDS", "10")
        patch.setenv("VTT_HEARTBEAT_SECONDS", "1")
        patch.setenv("VTT_REAPER_SECONDS", "1")
        with running_service(tmp_path_factory.mktemp("service") / "data") as url:
            yield url


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The programs of docker-compose.yml, with PostgreSQL, S3 and keys."""
    with ExitStack() as stack:
        yield Cluster(tmp_path_factory.mktemp("cluster"), stack)


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return Path(__file__).parents[2]
