"""Every check of ``doctor``, in the order in which they run."""

from __future__ import annotations

from cli.doctor import access, capacity, definitions, roles, services
from cli.doctor.examination import Check

CHECKS = (
    Check("identity", "Credentials and region", access.identity),
    Check("bootstrap", "CDK bootstrap", access.bootstrap),
    Check("names", "Names that are taken", access.names_free),
    Check("quotas", "Service quotas", capacity.quotas),
    Check("closed-services", "Services closed to new customers", services.closed_services),
    Check("distributions", "CloudFront distributions", services.distributions),
    Check("workforce", "Private workforce", services.workforce),
    Check("api-logs", "API Gateway's role for logs", services.api_log_role),
    Check("keys", "Keys and their policies", access.dataset_key),
    Check("images", "Container images", services.images),
    Check("definitions", "State machine definitions", definitions.definitions),
    Check("roles", "Roles and what they may call", roles.roles),
)
