from app.domain.messages import EpisodesMessage, FinetuneMessage


def test_a_message_carries_an_id_and_nothing_else() -> None:
    assert FinetuneMessage.task_name == "finetune.run"
    assert vars(FinetuneMessage("job_1")) == {"job_id": "job_1"}


def test_a_chunk_is_named_alike_in_its_message_and_in_a_worker_s_sign_of_life() -> None:
    message = EpisodesMessage("b1", 3)
    assert vars(message) == {"benchmark_id": "b1", "chunk": 3}
    assert message.work_id == "b1/3"


def test_workers_look_for_jobs_first() -> None:
    assert FinetuneMessage.queue_name < EpisodesMessage.queue_name
