"""What `make up` leaves behind for a person: the URLs, reviewers who may sign in, and calls to paste."""

from __future__ import annotations

from urllib.parse import urlsplit

from rich.console import Console

from embedded_aws.public_hosts import names
from local.demo.session import Session
from stacks.names import LEADS, REVIEWERS
from stacks.settings import Settings

PASSWORD = "Reviewer-Local-1"  # noqa: S105  (printed, for a pool that lives on this machine until `make down`)
EXAMPLES = ('{"text": "I love it, the battery lasts for days"}', '{"text": "Well, it is what it is.", "subject": "example"}')


def reviewers(session: Session) -> list[str]:
    """User names: as many people as have to answer one text, since nobody is asked twice about it."""
    wanted = max(session.settings.review.workers_per_task, session.settings.labeling.workers_per_object)
    return [f"reviewer-{number}" for number in range(1, wanted + 1)]


def add_reviewers(session: Session) -> None:
    """People of the work team, as an administrator of the user pool adds them; each signs in with PASSWORD. The first is a lead, too."""
    pool, cognito = session.outputs[session.names.stack("review")]["UserPoolId"], session.client("cognito-idp")
    groups = _groups(session)
    for number, name in enumerate(reviewers(session)):
        cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
        for group in [*groups, *([LEADS] if _is_hosted(session) and not number else [])]:
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)


def _groups(session: Session) -> list[str]:
    """Groups of the user pool whose members are asked."""
    team = session.outputs[session.names.stack("review")].get("WorkteamArn")
    if team is None:
        return [REVIEWERS]
    found = session.client("sagemaker").describe_workteam(WorkteamName=team.rsplit("/", 1)[-1])["Workteam"]
    return [member["CognitoMemberDefinition"]["UserGroup"] for member in found["MemberDefinitions"]]


def worker_page(session: Session) -> str:
    """Address of the page on this machine."""
    hosted = session.outputs[session.names.stack("review")].get("ReviewPageUrl")
    if hosted is None:
        return f"{session.emulator.url}/worker"
    parts = urlsplit(hosted)
    return names.address(parts.netloc, session.emulator.port) + parts.path


def example_calls(session: Session) -> list[str]:
    """Shell commands that POST a text, signed by curl (7.75 or newer) with the embedded AWS's root credentials."""
    sign = f'--aws-sigv4 "aws:amz:{session.settings.region}:execute-api" --user test:test'
    return [f"curl -sS {sign} -H 'Content-Type: application/json' -d '{body}' {session.predict_url}" for body in EXAMPLES]


def _is_hosted(session: Session) -> bool:
    return session.settings.review.backend == "hosted"


def print_urls(console: Console, session: Session) -> None:
    """Print where everything is, who may sign in, and what to try."""
    lines = {
        "API": f"{session.predict_url} (POST, signed)",
        "worker page": f"{worker_page(session)} (users {', '.join(reviewers(session))}; password {PASSWORD})",
        "report": (session.output / "report.html").as_uri(),
        "AWS endpoint": f"{session.emulator.url} (AWS_ENDPOINT_URL; key id and secret: test)",
    }
    for name, value in lines.items():
        console.print(f"  {name:<12} {value}", highlight=False, soft_wrap=True, markup=False)
    console.print("\n  Two calls to paste; what the model is unsure of waits for people on the worker page:")
    for command in example_calls(session):
        console.print(f"  {command}", highlight=False, soft_wrap=True, markup=False)
    console.print()
    for hint in (*hints(session.settings), *commands(session)):
        console.print(f"  {hint}", highlight=False, soft_wrap=True, markup=False)
    console.print("  stop it with `make down`")


def hints(settings: Settings) -> list[str]:
    """What somebody must know who signs in to the worker page."""
    most = settings.review.workers_per_task
    another = "sign out and in again as another user, or use private windows"
    if settings.review.answer_rule == "two_then_third":
        found = [f"a text gets its label once two of the users agree about it, of {most} at most: {another}"]
    else:
        found = [f"a text gets its label once {most} of the users have answered it: {another}"]
    if settings.review.backend == "hosted":
        found.insert(0, "the first sign-in shows a key for an authenticator app; the codes of any such app will do")
        found.append("the first user is a lead, too: the link Lead of the page shows the queue")
    return found


def commands(session: Session) -> list[str]:
    """How the console commands find this run."""
    run_dir = session.emulator.run_dir
    stage = session.output / "settings.yaml" if session.budget.overrides else session.settings.stage
    return [
        "the commands of docs/commands.md, in a shell of yours:",
        f'  eval "$(.venv/bin/python -m embedded_aws variables --run-dir {run_dir})"',
        f"  .venv/bin/python -m cli review people list --stage {stage}",
    ]
