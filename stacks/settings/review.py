"""What people are asked, and how."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from contracts import bounds
from contracts.labels import CANNOT_TELL
from stacks.settings.fields import Section, Share
from stacks.settings.guidelines import GuidelinesSettings
from stacks.settings.limits import TaskSeconds
from stacks.settings.workforce import WorkforceSettings

FEWEST_TO_DIFFER = 3
"""Two people who differ, and one who decides."""
MailAddress = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]
AnswerRule = Literal["fixed", "two_then_third"]


class AdaptiveSettings(Section):
    """How sure model and people together must be of a label that is only trained on."""

    certainty: float = Field(
        default=0.85,
        ge=0.5,
        le=0.99,
        description=(
            "Probability of the label at which nobody else is asked. On the texts of `make bench-review`, 0.85 saves 39 % of the "
            "answers at equal accuracy. Less saves more and costs accuracy."
        ),
    )
    worker_accuracy: float = Field(default=0.8, ge=0.51, le=0.99, description="Share of one person's answers that are right.")


class AnswersSettings(Section):
    """How many people answer one text."""

    rule: AnswerRule | None = Field(
        default=None,
        description=(
            "`fixed`: `review.workers_per_task` people answer each text. `two_then_third`: two people answer, and one more is asked "
            "while they differ, up to `review.workers_per_task`. `null`: `two_then_third` where the backend can ask one person at a "
            "time, else `fixed`. Amazon A2I cannot."
        ),
    )
    adaptive: AdaptiveSettings | None = Field(
        default=None,
        description=(
            "Only with `hosted`: for labels that are only trained on, the model's answer counts beside people's, and often one person is "
            "enough. `{}` switches it on. `rule` still decides for audit samples, pairs, predictions that were made during a rollout, gold "
            "tasks, bulk labelling, and texts that may become validation or test rows. `null`: it decides for all texts."
        ),
    )


class PromiseSettings(Section):
    """What the answers that nobody reviews are held to. Where you change it, new bets against it begin."""

    max_error: float = Field(
        gt=bounds.PROMISED_ERROR.low, le=bounds.PROMISED_ERROR.high, description="Largest share of these answers that may be wrong."
    )
    confidence: float = Field(
        default=0.95,
        ge=bounds.PROMISED_CONFIDENCE.low,
        le=bounds.PROMISED_CONFIDENCE.high,
        description="Probability with which a model's certificate is right.",
    )


class PageSettings(Section):
    """The page of the hosted backend: its API's limits, and what stands in front of it."""

    rate_limit: int = Field(
        default=200,
        ge=1,
        le=10_000,
        description=(
            "Requests per second of all reviewers together. More requests get HTTP status 429. A reviewer makes about two requests per "
            "answer."
        ),
    )
    burst_limit: int = Field(default=400, ge=1, le=5_000, description="Requests at once. More requests get HTTP status 429.")
    web_acl_arn: Annotated[str, StringConstraints(pattern=r"^arn:aws:wafv2:us-east-1:\d{12}:global/webacl/[^/]+/[^/]+$")] | None = Field(
        default=None,
        description=(
            "ARN of a web ACL of AWS WAF for the page's distribution. It must have the scope `CLOUDFRONT`, so it is in us-east-1. "
            "`null`: there is none. The app creates no web ACL, because each one costs a monthly fee."
        ),
    )
    template_scripts: bool = Field(
        default=False,
        description=(
            "Whether inline scripts of your own worker template run, in the task's sandboxed frame. Read first what that means "
            "(`docs/worker-templates.md`). `false`: a template with a script is refused."
        ),
    )


class MailSettings(Section):
    """Mails to reviewers that tasks wait, by Amazon SNS. There is one mail for all tasks. SNS asks each address first."""

    addresses: tuple[MailAddress, ...] = Field(
        min_length=1, max_length=100, description="Who gets the mails. Each address must confirm SNS's first mail."
    )
    after_minutes: int = Field(default=30, ge=5, le=10_080, description="Minutes that a task waits before it is announced.")
    every_hours: int = Field(default=24, ge=1, le=168, description="While tasks wait, there is at most one mail in this number of hours.")

    @model_validator(mode="after")
    def _each_address_once(self) -> MailSettings:
        twice = next((one for one in self.addresses if self.addresses.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"review.mail.addresses names {twice} twice: leave one out")
        return self


class ReviewSettings(Section):
    """What is sent to people, and how they are asked. With ``backend: none`` nobody is asked, and there is no review stack."""

    backend: Literal["a2i", "hosted", "none"] = Field(
        default="a2i",
        description=(
            "Who asks people. `a2i`: Amazon A2I. `hosted`: a review service of the app's own, for accounts that A2I is closed to "
            "(`settings/newacct.yaml`). `none`: nobody. With `hosted`, set `labeling.backend` to "
            "`hosted`, too. With `none`, set `labeling.enabled` to `false`, because nobody can be asked in bulk either; also leave "
            "`threshold` and `audit_share` out or set them to 0, and set `rollout.policy` to `blue_green`."
        ),
    )
    workforce: WorkforceSettings = WorkforceSettings()
    threshold: Literal["model"] | Share = Field(
        default="model",
        description=(
            "Confidence below which people are asked. `model`: every model has its own threshold, which follows from "
            "`promise`, or else from `target_share`. A number: one threshold for all models."
        ),
    )
    target_share: float = Field(
        default=0.20,
        ge=bounds.REVIEW_SHARE.low,
        le=bounds.REVIEW_SHARE.high,
        description=(
            "Share of the validation texts that the model's own threshold would send to people. It promises nothing about errors, and "
            "with `promise` it is not used."
        ),
    )
    promise: PromiseSettings | None = Field(
        default=None,
        description=(
            "The model's own threshold is the lowest that keeps this promise, certified on the validation texts. Where none can, every "
            "text goes to people. `null`: `target_share` decides."
        ),
    )
    audit_share: Share = Field(
        default=0.02,
        description="Share of all answers that is drawn at random for people. Nobody else would review the confident ones: their labels "
        "watch `review.promise` while the model serves. A retraining's test set gets a fair sample of the traffic from the drawn ones.",
    )
    daily_budget: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description=(
            "Most texts a day that people are asked about because the model is unsure. The others wait, and the most urgent come first: "
            "unsure ones, those with a rare label, and old ones. A text that waits longer than `task_availability_seconds` is given up. "
            "Audit samples and pairs come on top. `null`: people are asked about all of them at once."
        ),
    )
    least_alpha: float = Field(
        default=0.2,
        ge=-1.0,
        le=1.0,
        description=(
            "Krippendorff's alpha of the reviewers' first two answers below which an alarm rings. 1 is agreement, 0 is chance. It is "
            "measured once 200 texts of the last 30 days have two answers."
        ),
    )
    workers_per_task: int = Field(
        default=3, ge=1, le=3, description="Number of people who answer each text, or the most of them (`review.answers`)."
    )
    answers: AnswersSettings = AnswersSettings()
    task_time_limit_seconds: TaskSeconds = Field(default=3_600, description="Seconds that a person has for a task after opening it.")
    task_availability_seconds: int = Field(
        default=86_400 * 3,
        ge=3_600,
        le=864_000,
        description="Seconds after which an unanswered task is given up. It must be at least `task_time_limit_seconds`.",
    )
    backlog_seconds: int | None = Field(
        default=None,
        ge=900,
        le=864_000,
        description=(
            "Age of the oldest open review from which an alarm rings, because people do not keep up. It must be less than "
            "`task_availability_seconds`, at which a task expires. `null`: half of that."
        ),
    )
    undo_seconds: int = Field(
        default=60,
        ge=0,
        le=3_600,
        description=(
            "Only with `hosted`: seconds for which a task with enough answers stays open, so that the last answer can still be taken "
            "back. With A2I the last answer ends the task."
        ),
    )
    guidelines: GuidelinesSettings = GuidelinesSettings()
    cannot_tell: bool = Field(
        default=True,
        description=(
            "Whether people may answer that they cannot tell which label is right. It is an answer without a label: where as many people "
            "give it as choose the first label, the review ends undecided, and a lead decides. `false`: each answer is a label."
        ),
    )
    suggestion_share: Share = Field(
        default=0.0,
        description=(
            "Only with `hosted`: the page shows the model's label for this share of people and tasks, drawn at random. `labels report` "
            "says how much it sways people. Audit samples, pairs and bulk labelling never show it, and labels that were given beside it "
            "are only trained on."
        ),
    )
    page: PageSettings = PageSettings()
    mail: MailSettings | None = Field(default=None, description="Only with `hosted`: mails to reviewers. `null`: there are none.")
    gold_share: float = Field(
        default=0.0,
        ge=0.0,
        le=0.2,
        description=(
            "Only with `hosted`: number of gold tasks for each review, and for each text of bulk labelling, on the average. A gold task "
            "has a text whose label is known (`review gold set`). It looks like the others, and what people answer to it is counted for "
            "them but is no label. A job of bulk labelling has each gold text once at most."
        ),
    )

    @model_validator(mode="after")
    def _tasks_can_be_finished(self) -> ReviewSettings:
        if self.task_time_limit_seconds > self.task_availability_seconds:
            raise ValueError(
                f"task_time_limit_seconds {self.task_time_limit_seconds} must be at most task_availability_seconds "
                f"{self.task_availability_seconds}: a task would be gone before its worker's time is up"
            )
        return self

    @model_validator(mode="after")
    def _backlog_is_seen_before_tasks_expire(self) -> ReviewSettings:
        if self.backlog_seconds is not None and self.backlog_seconds >= self.task_availability_seconds:
            raise ValueError(
                f"review.backlog_seconds {self.backlog_seconds} must be less than review.task_availability_seconds "
                f"{self.task_availability_seconds}: a task would expire before the alarm rings"
            )
        return self

    @model_validator(mode="after")
    def _mails_come_before_tasks_expire(self) -> ReviewSettings:
        if self.mail is not None and self.mail.after_minutes * 60 >= self.task_availability_seconds:
            raise ValueError(
                f"review.mail.after_minutes {self.mail.after_minutes} must be less than the {self.task_availability_seconds // 60} minutes "
                "of review.task_availability_seconds: a task would expire before its mail"
            )
        return self

    @model_validator(mode="after")
    def _promise_is_the_model_s(self) -> ReviewSettings:
        if self.promise is not None and self.threshold != "model":
            raise ValueError(
                f"review.promise is kept by each model's own threshold, and review.threshold {self.threshold} replaces it: "
                "use review.threshold 'model', or leave review.promise out"
            )
        return self

    @model_validator(mode="after")
    def _rule_can_be_kept(self) -> ReviewSettings:
        if self.answers.rule != "two_then_third":
            return self
        if self.backend == "a2i":
            raise ValueError(
                "review.answers.rule 'two_then_third' asks one more person after two have answered, and Amazon A2I asks a fixed number: "
                "leave review.answers out, or use a backend that asks one person at a time"
            )
        if self.workers_per_task < FEWEST_TO_DIFFER:
            raise ValueError(
                f"review.answers.rule 'two_then_third' may ask a third person, and review.workers_per_task is {self.workers_per_task}: "
                f"set review.workers_per_task to {FEWEST_TO_DIFFER}, or use review.answers.rule 'fixed'"
            )
        return self

    @model_validator(mode="after")
    def _only_what_is_offered_is_explained(self) -> ReviewSettings:
        if CANNOT_TELL in self.guidelines.labels and not self.cannot_tell:
            raise ValueError(
                f"review.guidelines.labels explains {CANNOT_TELL!r}, and review.cannot_tell false offers no such answer: leave one of "
                "them out"
            )
        return self

    @model_validator(mode="after")
    def _model_counts_once(self) -> ReviewSettings:
        if self.answers.adaptive is None:
            return self
        if self.backend != "hosted":
            raise ValueError(
                "review.answers.adaptive asks one person at a time until the label is sure, and belongs to the hosted review service; "
                f"review.backend is {self.backend!r}: leave adaptive out, or use review.backend 'hosted'"
            )
        if self.suggestion_share:
            raise ValueError(
                f"review.suggestion_share {self.suggestion_share} shows the model's label to people, and review.answers.adaptive counts it "
                "beside their answers, so it would count twice: leave one of them out"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _nobody_is_asked_by_default(cls, given: Any) -> Any:
        """With ``backend: none`` the two fields that send predictions to people are 0 unless they are given."""
        if isinstance(given, dict) and given.get("backend") == "none":
            return {"threshold": 0.0, "audit_share": 0.0, **given}
        return given

    @model_validator(mode="after")
    def _hosted_only(self) -> ReviewSettings:
        """What the hosted service alone has, and what it does not have."""
        if self.backend == "hosted":
            if self.workforce.mode == "import":
                raise ValueError(
                    "review.workforce imports a work team of SageMaker, and review.backend 'hosted' asks the members of its own user pool: "
                    "leave review.workforce out, or use review.backend 'a2i'"
                )
            return self
        for field in ("undo_seconds", "suggestion_share", "page", "mail", "gold_share"):
            if getattr(self, field) != ReviewSettings.model_fields[field].default:
                raise ValueError(
                    f"review.{field} belongs to the hosted review service, and review.backend is {self.backend!r}: leave {field} out, or "
                    "use review.backend 'hosted'"
                )
        return self

    @model_validator(mode="after")
    def _nobody_is_asked(self) -> ReviewSettings:
        if self.backend != "none":
            return self
        if self.daily_budget is not None:
            raise ValueError(
                f"review.daily_budget {self.daily_budget} says how much people are asked, and review.backend 'none' asks nobody: leave "
                "daily_budget out, or use review.backend 'a2i' or 'hosted'"
            )
        for field in ("threshold", "audit_share"):
            value = getattr(self, field)
            if value != 0:
                raise ValueError(
                    f"review.{field} {value} sends predictions to people, and review.backend 'none' asks nobody: leave {field} out "
                    "(or set it to 0), or use review.backend 'a2i' or 'hosted'"
                )
        if self.workforce.mode == "import":
            raise ValueError(
                "review.workforce imports a work team, and review.backend 'none' asks nobody: leave review.workforce out, or use "
                "review.backend 'a2i'"
            )
        return self

    @property
    def answer_rule(self) -> AnswerRule:
        """The rule of ``lambdas/common/answers_wanted.py`` that holds; ``fixed`` for fewer people than could differ and decide."""
        if self.backend in ("a2i", "none") or self.workers_per_task < FEWEST_TO_DIFFER:
            return "fixed"
        return self.answers.rule or "two_then_third"

    @property
    def longest_wait_seconds(self) -> int:
        """Age of an open review from which the alarm on the backlog rings."""
        return self.task_availability_seconds // 2 if self.backlog_seconds is None else self.backlog_seconds

    @property
    def asks_people(self) -> bool:
        """Whether there is a review stack: a queue of requests, and people behind it."""
        return self.backend != "none"
