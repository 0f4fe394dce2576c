"""What a role must be able to call, read from its policies."""

from __future__ import annotations

from cli.doctor.roles import Grant, grants_of


def test_wildcards_of_a_resource_get_an_example_and_conditions_a_context_that_meets_them() -> None:
    document = {
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:Get*"],
                "Resource": "arn:aws:s3:::data",
                "Condition": {"StringLike": {"s3:prefix": ["datasets/*", "base/*"]}},
            },
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": ["arn:aws:s3:::data/*", "*"]},
            {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"},
        ]
    }
    assert grants_of([document]) == [
        Grant(("s3:ListBucket",), "arn:aws:s3:::data", (("s3:prefix", ("datasets/example",)),)),
        Grant(("s3:PutObject",), "arn:aws:s3:::data/example"),
        Grant(("s3:PutObject",), "*"),
    ]


def test_a_negated_condition_needs_no_context() -> None:
    statement = {"Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"StringNotEquals": {"a:Key": "x"}}}
    assert grants_of([{"Statement": statement}]) == [Grant(("a:B",), "*")]
