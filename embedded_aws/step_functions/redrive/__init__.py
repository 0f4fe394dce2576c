"""Step Functions' RedriveExecution: an execution that failed, was stopped or timed out continues from the state that did not succeed.

``branches`` remembers how far each branch of a Parallel and each iteration of a Map came, ``resume`` goes on from there, ``operation``
is the API. Source: Step Functions developer guide, "Restarting state machine executions with redrive".
"""

from __future__ import annotations


def install() -> None:
    """Put the hooks in place; before those of ``executions``, whose time limits then hold for a redriven execution too."""
    from embedded_aws.step_functions.redrive import branches, operation, resume

    branches.install()
    resume.install()
    operation.install()
