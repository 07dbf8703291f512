from app.domain.messages import FinetuneMessage


def test_a_message_carries_an_id_and_nothing_else() -> None:
    assert FinetuneMessage.task_name == "finetune.run"
    assert vars(FinetuneMessage("job_1")) == {"job_id": "job_1"}
