import json

from vtt_core.contract.progress import StepReport


def test_a_report_survives_json() -> None:
    report = StepReport(
        step=3,
        num_steps=250,
        classification_loss=0.7,
        absorption_loss=None,
        conflict_cosine=None,
        is_absorbing=False,
        absorption_stopped_at=2,
    )
    assert StepReport(**json.loads(json.dumps(report.to_json()))) == report
