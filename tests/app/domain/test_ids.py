from app.domain.ids import JOB_PREFIX, new_id


def test_ids_carry_their_prefix_and_differ() -> None:
    ids = {new_id(JOB_PREFIX) for _ in range(100)}
    assert len(ids) == 100
    assert all(one.startswith("job_") and len(one) == 28 for one in ids)
