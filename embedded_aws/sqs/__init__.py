"""Amazon SQS: what ministack's queues lack, the ``AWS/SQS`` metrics and message move tasks."""

from __future__ import annotations


def install() -> None:
    """Put the hooks in place."""
    from embedded_aws.sqs import message_moves, metrics

    metrics.install()
    message_moves.install()
