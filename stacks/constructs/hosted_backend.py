"""The hosted review service as the review backend: a page behind one public address, a sweep, and a table of the foundation stack.

Only this construct and ``lambdas/review/`` with its hosted parts know tasks and leases.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import Acknowledgment, CfnOutput, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_logs as logs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from contracts.shared_words import TASK_DESCRIPTION, TASK_TITLE
from review_page.elements import check_elements
from review_page.fields import TemplateError
from stacks.constructs.alarm import Alarm
from stacks.constructs.python_function import PythonFunction, log_retention, page_layer
from stacks.constructs.review_queue import ReviewQueue
from stacks.constructs.reviewers import HostedReviewers
from stacks.constructs.scheduled_function import ScheduledFunction
from stacks.constructs.shared import SharedResources
from stacks.constructs.task_mail import TaskMail
from stacks.constructs.worker_page import TEMPLATE, worker_page, worker_page_file
from stacks.names import LEADS, REVIEWERS, TASK_INDEXES
from stacks.settings.file import SettingsError
from stacks.settings.guidelines import GuidelinesSettings

OUTPUT_PREFIX = "hosted"
"""Prefix in the review bucket. ``lambdas/review/hosted_tasks/ending.py`` writes below it."""
PAGE_SECONDS = 29
_SWEEP_SECONDS = 120
_LOGGED = {
    name: f"$context.{name}"
    for name in (
        "requestId",
        "requestTime",
        "identity.sourceIp",
        "httpMethod",
        "path",
        "status",
        "responseLength",
        "integrationErrorMessage",
    )
}
_KEPT_ERRORS = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
"""Status codes that CloudFront may keep: those for which a distribution can say how long.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-expiration.html
"""
_READS = ("dynamodb:GetItem", "dynamodb:Query")
_WRITES = ("dynamodb:PutItem", "dynamodb:UpdateItem")


def check_worker_template(guidelines: GuidelinesSettings, *, scripts: bool) -> None:
    """Raises SettingsError: the page cannot show the app's worker template; the text names the element."""
    try:
        check_elements(worker_page(guidelines), scripts=scripts)
    except TemplateError as error:
        raise SettingsError(f"{TEMPLATE.name} cannot be shown with review.page.template_scripts {str(scripts).lower()}: {error}") from None


class HostedBackend(Construct):
    """The review stack needs three things of a backend: :attr:`environment`, :meth:`allow_start` and :meth:`results_into`.

    Args:
        people: who signs in.

    Attributes:
        environment: variables with which ``start_review`` chooses and calls this backend.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources, people: HostedReviewers) -> None:
        super().__init__(scope, construct_id)
        self._shared, self._people = shared, people
        names, review = shared.names, shared.settings.review
        self._table_arn = names.arn("dynamodb", f"table/{names.review_tasks_table}")
        terms: dict[str, Any] = {
            "team": REVIEWERS,
            "title": TASK_TITLE,
            "description": TASK_DESCRIPTION,
            "rule": review.answer_rule,
            "most": review.workers_per_task,
            "time_limit_seconds": review.task_time_limit_seconds,
            "availability_seconds": review.task_availability_seconds,
            "undo_seconds": review.undo_seconds,
            "suggestion_share": review.suggestion_share,
        }
        if review.gold_share:
            terms["gold_share"] = review.gold_share
        if review.answers.adaptive is not None:
            adaptive = review.answers.adaptive
            holdout = shared.settings.retraining.holdout_share
            terms["adaptive"] = {"certainty": adaptive.certainty, "accuracy": adaptive.worker_accuracy, "holdout_share": holdout}
        target = {"table": names.review_tasks_table, "retention_days": shared.settings.retention.review_days, "terms": terms}
        self.environment: Mapping[str, str] = {"REVIEW_BACKEND": "hosted", "REVIEW_TARGET": json.dumps(target, sort_keys=True)}

    def allow_start(self, function: PythonFunction) -> None:
        """Let the function open tasks: two new items in one transaction. Gold tasks are made of one more item, which is read."""
        gold = ["dynamodb:GetItem"] if self._shared.settings.review.gold_share else []
        function.allow([*gold, "dynamodb:PutItem"], [self._table_arn])

    def results_into(self, results: ReviewQueue) -> None:
        """Send one ``ReviewEnded`` for each review that ends to ``results``."""
        environment = {
            "REVIEW_TASKS_TABLE": self._shared.names.review_tasks_table,
            "RETENTION_DAYS": str(self._shared.settings.retention.review_days),
            "REVIEW_BUCKET": self._shared.names.bucket("review"),
            "REVIEW_RESULTS_URL": results.queue.queue_url,
        }
        page = self._page(environment)
        sweep = self._sweep(environment)
        for function in (page, sweep):
            self._allow_tasks(function)
            results.allow_send(function)
        self._publish(self._distribution(self._api(page)))
        mail = self._shared.settings.review.mail
        if mail is not None:
            TaskMail(self, "Mail", shared=self._shared, mail=mail, page_parameter=self._shared.names.parameter("review-page"))

    def _allow_tasks(self, function: PythonFunction) -> None:
        """What both functions do with tasks, and with the answers of those that end."""
        names = self._shared.names
        indexes = [f"{self._table_arn}/index/{index}" for index in TASK_INDEXES]
        function.allow(_READS, [self._table_arn, *indexes])
        function.allow(_WRITES, [self._table_arn])
        function.allow(
            ["s3:PutObject"],
            [names.bucket_arn("review", f"{OUTPUT_PREFIX}/*")],
            because="Each review's answers lie below this prefix, by the second and the review's name",
        )
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self._shared.key.key_arn])

    def _page(self, environment: Mapping[str, str]) -> PythonFunction:
        names = self._shared.names
        parameter = names.parameter("review-page")
        review = self._shared.settings.review
        scripts = review.page.template_scripts
        check_worker_template(review.guidelines, scripts=scripts)
        function = PythonFunction(
            self,
            "Page",
            shared=self._shared,
            folder="review/review_page",
            description="The page on which people answer",
            timeout=PAGE_SECONDS,
            memory=512,
            layer=page_layer(self),
            beside=[worker_page_file(review.guidelines)],
            environment={
                **environment,
                "PAGE_PARAMETER": parameter,
                "TEAM": REVIEWERS,
                "LEADS_GROUP": LEADS,
                "BRAND": f"{self._shared.settings.name} review",
                **({"TEMPLATE_SCRIPTS": "true"} if scripts else {}),
            },
        )
        function.allow(["dynamodb:BatchGetItem", "dynamodb:DeleteItem"], [self._table_arn])
        function.allow(["ssm:GetParameter"], [names.arn("ssm", f"parameter{parameter}")])
        function.allow(["cognito-idp:AdminGetUser", "cognito-idp:AdminListGroupsForUser"], [self._people.pool.user_pool_arn])
        Alarm(
            self,
            "PageFails",
            shared=self._shared,
            name=names.alarm("review-page-fails"),
            meaning=f"People cannot answer: {function.name} fails. Its log has each reason",
            metric=cloudwatch.MathExpression(
                expression="FILL(failed, 0) + FILL(ended, 0)",
                using_metrics={
                    "failed": cloudwatch.Metric(
                        namespace=names.metric_namespace,
                        metric_name="ReviewPageFailures",
                        dimensions_map={"service": function.name},
                        period=Duration.minutes(5),
                        statistic="Sum",
                    ),
                    "ended": function.function.metric_errors(period=Duration.minutes(5), statistic="Sum"),
                },
                label="requests of the page without an answer",
                period=Duration.minutes(5),
            ),
            threshold=5,
        )
        return function

    def _sweep(self, environment: Mapping[str, str]) -> PythonFunction:
        function = PythonFunction(
            self,
            "Sweep",
            shared=self._shared,
            folder="review/sweep",
            description="Ends leases and review tasks whose time is over",
            timeout=_SWEEP_SECONDS,
            environment=environment,
        )
        ScheduledFunction(self, "SweepSchedule", shared=self._shared, function=function, name="sweep", minutes=1)
        return function

    def _api(self, page: PythonFunction) -> apigateway.HttpApi:
        """Everything goes to the function; the distribution in front of it is the page's only address."""
        names, limits = self._shared.names, self._shared.settings.review.page
        access_log = logs.LogGroup(
            self,
            "AccessLog",
            log_group_name=f"/aws/apigateway/{names.prefix}-review-page",
            retention=log_retention(self._shared.settings.retention.log_days),
            encryption_key=self._shared.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        api = apigateway.HttpApi(
            self,
            "Api",
            api_name=f"{names.prefix}-review-page",
            description="The page on which people answer, behind its distribution",
            create_default_stage=False,
        )
        everything = integrations.HttpLambdaIntegration("Function", page.function)
        routes = [
            *api.add_routes(path="/", methods=[apigateway.HttpMethod.GET], integration=everything),
            *api.add_routes(
                path="/{proxy+}",
                methods=[apigateway.HttpMethod.GET, apigateway.HttpMethod.HEAD, apigateway.HttpMethod.POST],
                integration=everything,
            ),
        ]
        apigateway.CfnStage(
            self,
            "Stage",
            api_id=api.api_id,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=limits.rate_limit, throttling_burst_limit=limits.burst_limit
            ),
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=access_log.log_group_arn, format=json.dumps(_LOGGED)
            ),
        )
        for route in routes:
            Validations.of(route).acknowledge(
                Acknowledgment(
                    id="AwsSolutions-APIG4",
                    reason="The function itself signs people in, by authorization code with PKCE, and looks up the session and the "
                    "person's state at each request; an authorizer of the gateway knows neither",
                )
            )
        return api

    def _distribution(self, api: apigateway.HttpApi) -> cloudfront.Distribution:
        stack = Stack.of(self)
        origin = origins.HttpOrigin(
            f"{api.api_id}.execute-api.{stack.region}.{stack.url_suffix}", protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY
        )
        headers = cloudfront.ResponseHeadersPolicy(
            self,
            "Headers",
            # Of the account, and not of a region: without the region, the same stage elsewhere in the account would have the same name.
            response_headers_policy_name=f"{self._shared.names.prefix}-review-page-{self._shared.settings.region}",
            comment="What every answer carries; the content security policy is each page's own",
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=Duration.days(365), include_subdomains=True, override=True
                ),
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                    referrer_policy=cloudfront.HeadersReferrerPolicy.SAME_ORIGIN, override=True
                ),
            ),
        )

        def behavior(cached: cloudfront.ICachePolicy, allowed: cloudfront.AllowedMethods) -> cloudfront.BehaviorOptions:
            return cloudfront.BehaviorOptions(
                origin=origin,
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                allowed_methods=allowed,
                cache_policy=cached,
                # The gateway finds the API by the host name, so the viewer's must not reach it.
                origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
                response_headers_policy=headers,
            )

        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"{self._shared.names.prefix}: the page on which people answer",
            default_behavior=behavior(cloudfront.CachePolicy.CACHING_DISABLED, cloudfront.AllowedMethods.ALLOW_ALL),
            additional_behaviors={
                "/worker/assets/*": behavior(cloudfront.CachePolicy.CACHING_OPTIMIZED, cloudfront.AllowedMethods.ALLOW_GET_HEAD)
            },
            # Without this CloudFront answers one person's error to everybody of the edge for 10 s, although the page says no-store.
            error_responses=[cloudfront.ErrorResponse(http_status=code, ttl=Duration.seconds(0)) for code in _KEPT_ERRORS],
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            web_acl_id=self._shared.settings.review.page.web_acl_arn,
        )
        reasons = {
            "CFR1": "Reviewers may be anywhere; who they are is decided by the user pool, which has no sign-up",
            "CFR2": "A web ACL bills per ACL and is the account's choice: review.page.web_acl_arn of the settings",
            "CFR3": "The gateway behind it logs every request but those for scripts and styles; the log delivery of distributions needs a "
            "bucket with access control lists, and this project has none",
            "CFR4": "The page has CloudFront's own domain and certificate, for which the minimum TLS version cannot be set; a domain of "
            "one's own is the account's choice",
        }
        for rule, reason in reasons.items():
            Validations.of(distribution).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason))
        return distribution

    def _publish(self, distribution: cloudfront.Distribution) -> None:
        """The client with its call-back, and the one parameter that says where everything is."""
        url = f"https://{distribution.distribution_domain_name}"
        client = cognito.CfnUserPoolClient(
            self,
            "Client",
            user_pool_id=self._people.pool.user_pool_id,
            client_name="review-page",
            # No secret: the page proves itself by PKCE.
            generate_secret=False,
            prevent_user_existence_errors="ENABLED",
            enable_token_revocation=True,
            explicit_auth_flows=["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
            supported_identity_providers=["COGNITO"],
            allowed_o_auth_flows_user_pool_client=True,
            allowed_o_auth_flows=["code"],
            allowed_o_auth_scopes=["openid"],
            callback_ur_ls=[f"{url}/worker/signed-in"],
            logout_ur_ls=[f"{url}/worker"],
        )
        value = {
            "url": url,
            "sign_in_url": self._people.sign_in_url,
            "client_id": client.ref,
            "user_pool_id": self._people.pool.user_pool_id,
        }
        ssm.StringParameter(
            self,
            "Parameter-review-page",
            parameter_name=self._shared.names.parameter("review-page"),
            string_value=Stack.of(self).to_json_string(value),
        )
        CfnOutput(self, "ReviewPageUrl", value=f"{url}/worker")
        CfnOutput(self, "ReviewPageClientId", value=client.ref)
