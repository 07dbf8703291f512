import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

from app.infra.database import make_engine
from app.infra.outages import DATABASE_AWAY
from tests.fixtures.services import PostgresServer


@pytest.mark.services
def test_a_server_that_is_not_there_is_an_outage(tmp_path) -> None:
    engine = make_engine(f"postgresql://postgres@/vtt?host={tmp_path}")
    with pytest.raises(DATABASE_AWAY):
        engine.connect()


@pytest.mark.services
def test_a_connection_cut_in_the_middle_of_a_transaction_is_an_outage(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    engine = make_engine(postgres_url)

    def be_cut_off() -> None:
        with engine.begin() as connection, engine.connect() as other:
            number = connection.scalar(text("SELECT pg_backend_pid()"))
            other.execute(text("SELECT pg_terminate_backend(:number)"), {"number": number})
            connection.execute(text("SELECT 1"))

    with pytest.raises(DATABASE_AWAY):
        be_cut_off()
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_a_pool_without_a_free_connection_is_an_outage() -> None:
    engine = create_engine("sqlite://", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with engine.connect(), pytest.raises(DATABASE_AWAY):
        engine.connect()
    engine.dispose()
