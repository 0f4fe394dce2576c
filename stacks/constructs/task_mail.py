"""Mail to reviewers when tasks of the hosted page wait: a topic with its addresses, and a function on a schedule."""

from __future__ import annotations

from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from contracts.shared_words import OPEN_TASKS
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.scheduled_function import ScheduledFunction
from stacks.constructs.shared import SharedResources
from stacks.names import REVIEWERS
from stacks.settings.review import MailSettings

_MINUTES = 5


class TaskMail(Construct):
    """Topic ``<prefix>-review-tasks``. SNS asks each address once whether it wants the mails.

    Args:
        page_parameter: name of the parameter that has the page's address.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources, mail: MailSettings, page_parameter: str) -> None:
        super().__init__(scope, construct_id)
        names = shared.names
        topic = sns.Topic(self, "Topic", topic_name=names.task_topic, master_key=shared.key, enforce_ssl=True)
        for address in mail.addresses:
            topic.add_subscription(subscriptions.EmailSubscription(address))
        function = PythonFunction(
            self,
            "Announce",
            shared=shared,
            folder="review/announce_tasks",
            description="Mails reviewers that tasks wait",
            environment={
                "REVIEW_TASKS_TABLE": names.review_tasks_table,
                "RETENTION_DAYS": str(shared.settings.retention.review_days),
                "TEAM": REVIEWERS,
                "TOPIC": topic.topic_arn,
                "PAGE_PARAMETER": page_parameter,
                "AFTER_MINUTES": str(mail.after_minutes),
                "EVERY_HOURS": str(mail.every_hours),
            },
        )
        table = names.arn("dynamodb", f"table/{names.review_tasks_table}")
        function.allow(["dynamodb:GetItem", "dynamodb:PutItem"], [table])
        function.allow(["dynamodb:Query"], [f"{table}/index/{OPEN_TASKS}"])
        function.allow(["ssm:GetParameter"], [names.arn("ssm", f"parameter{page_parameter}")])
        function.allow(["sns:Publish"], [topic.topic_arn])
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [shared.key.key_arn])
        ScheduledFunction(self, "Schedule", shared=shared, function=function, name="announce-tasks", minutes=_MINUTES)
