"""What `make up` leaves behind for a person: the URLs, a reviewer who may sign in, and calls to paste."""

from __future__ import annotations

from rich.console import Console

from local.demo.session import Session

REVIEWER, PASSWORD = "reviewer", "Reviewer-Local-1"
EXAMPLES = ('{"text": "I love it, the battery lasts for days"}', '{"text": "Well, it is what it is.", "subject": "example"}')


def add_reviewer(session: Session) -> None:
    """A person of the work team, as an administrator of the user pool adds one."""
    pool = session.outputs[f"{session.prefix}-review"]["UserPoolId"]
    cognito, sagemaker = session.client("cognito-idp"), session.client("sagemaker")
    team = session.outputs[f"{session.prefix}-review"]["WorkteamArn"].rsplit("/", 1)[-1]
    members = sagemaker.describe_workteam(WorkteamName=team)["Workteam"]["MemberDefinitions"]
    # Without a temporary password the embedded AWS makes one that is shorter than the pool's policy asks for.
    cognito.admin_create_user(UserPoolId=pool, Username=REVIEWER, MessageAction="SUPPRESS", TemporaryPassword=PASSWORD)
    cognito.admin_set_user_password(UserPoolId=pool, Username=REVIEWER, Password=PASSWORD, Permanent=True)
    for member in members:
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=REVIEWER, GroupName=member["CognitoMemberDefinition"]["UserGroup"])


def example_calls(session: Session) -> list[str]:
    """Shell commands that POST a text, signed by curl (7.75 or newer) with the embedded AWS's root credentials."""
    sign = f'--aws-sigv4 "aws:amz:{session.settings.region}:execute-api" --user test:test'
    return [f"curl -sS {sign} -H 'Content-Type: application/json' -d '{body}' {session.predict_url}" for body in EXAMPLES]


def print_urls(console: Console, session: Session) -> None:
    add_reviewer(session)
    lines = {
        "API": f"{session.predict_url} (POST, signed)",
        "worker page": f"{session.emulator.url}/worker (user {REVIEWER}, password {PASSWORD})",
        "report": (session.output / "report.html").as_uri(),
        "AWS endpoint": f"{session.emulator.url} (AWS_ENDPOINT_URL; key id and secret: test)",
    }
    for name, value in lines.items():
        console.print(f"  {name:<12} {value}", highlight=False, soft_wrap=True, markup=False)
    console.print("\n  Two calls to paste; what the model is unsure of waits for a person on the worker page:")
    for command in example_calls(session):
        console.print(f"  {command}", highlight=False, soft_wrap=True, markup=False)
    console.print("\n  stop it with `make down`")
