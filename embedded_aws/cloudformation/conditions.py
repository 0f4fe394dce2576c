"""Conditions with the values that CloudFormation gives them: every function and pseudo parameter inside ``Fn::Equals``.

Stock ministack resolves only ``Ref`` of a parameter and ``Fn::Select`` there. Whatever else stands in ``Fn::Equals`` is compared as it is
written, so ``Fn::Join`` of an empty list is not "", and the template of ``cdk bootstrap`` leaves out the policy of its execution role.

Hooks: ``_evaluate_conditions`` of the modules that import it. Source of what may stand in a condition: CloudFormation user guide,
"Condition functions" ("Supported functions") and cfn-lint's rules for ``Fn::Equals``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ministack.services.cloudformation import changesets, engine, handlers, stacks

_COMBINED = ("Fn::And", "Fn::Or", "Fn::Not")
_UNKNOWN_HERE = ("AWS::StackName", "AWS::StackId", "AWS::NotificationARNs")
"""Pseudo parameters of a stack. The stock evaluation does not get them."""

Evaluation = Callable[[dict[str, Any], dict[str, Any]], dict[str, bool]]


def with_values(expression: Any, parameters: dict[str, Any], mappings: dict[str, Any]) -> Any:
    """A condition whose ``Fn::Equals`` compare texts; other conditions are left to the stock evaluation."""
    if not isinstance(expression, dict):
        return expression
    for name in _COMBINED:
        if name in expression:
            return {name: [with_values(part, parameters, mappings) for part in expression[name]]}
    if "Fn::Equals" in expression:
        return {"Fn::Equals": [_text(operand, parameters, mappings) for operand in expression["Fn::Equals"]]}
    return expression


def _text(operand: Any, parameters: dict[str, Any], mappings: dict[str, Any]) -> str:
    """An operand as CloudFormation compares it; a boolean is ``true`` or ``false``.

    Raises:
        ValueError: the operand is a list, or needs something that no condition knows; becomes a ValidationError.
    """
    unknown = sorted(set(_references(operand)) - parameters.keys() - set(_PSEUDO))
    if unknown:
        known_elsewhere = [name for name in unknown if name in _UNKNOWN_HERE]
        if known_elsewhere:
            raise ValueError(f"The embedded AWS does not support {', '.join(known_elsewhere)} in the Conditions block of a template")
        raise ValueError(
            f"Template format error: Unresolved dependencies {unknown}. Cannot reference resources in the Conditions block of the template"
        )
    value = engine._resolve_refs(operand, {}, parameters, {}, mappings, "", "")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        raise ValueError("Template error: every Fn::Equals object requires a list of 2 string parameters.")
    return str(value)


_PSEUDO = ("AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::URLSuffix", "AWS::NoValue")


def _references(node: Any) -> Iterator[str]:
    """Names in ``Ref``, wherever they stand in an operand."""
    if isinstance(node, dict):
        if isinstance(node.get("Ref"), str):
            yield node["Ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _check_names(conditions: dict[str, Any]) -> None:
    """Raises ValueError where a condition names one that is not there, or in a circle itself."""
    needs = {name: set(_named(expression)) for name, expression in conditions.items()}
    missing = sorted({other for others in needs.values() for other in others} - conditions.keys())
    if missing:
        raise ValueError(f"Template format error: Unresolved condition dependency {missing[0]} in the Conditions block of the template")
    settled: set[str] = set()
    while len(settled) < len(needs):
        ready = {name for name, others in needs.items() if name not in settled and others <= settled}
        if not ready:
            circle = ", ".join(sorted(needs.keys() - settled))
            raise ValueError(f"Template format error: Circular dependency between conditions [{circle}]")
        settled |= ready


def _named(expression: Any) -> Iterator[str]:
    if isinstance(expression, dict):
        if isinstance(expression.get("Condition"), str):
            yield expression["Condition"]
        for name in _COMBINED:
            for part in expression.get(name, ()):
                yield from _named(part)


def _resolving(stock: Evaluation) -> Evaluation:
    def evaluate(template: dict[str, Any], parameters: dict[str, Any]) -> dict[str, bool]:
        conditions, mappings = template.get("Conditions") or {}, template.get("Mappings") or {}
        _check_names(conditions)
        resolved = {name: with_values(expression, parameters, mappings) for name, expression in conditions.items()}
        return stock({**template, "Conditions": resolved}, parameters)

    return evaluate


def install() -> None:
    """Give every module that evaluates conditions the resolving evaluation."""
    evaluate = _resolving(engine._evaluate_conditions)
    engine._evaluate_conditions = evaluate
    changesets._evaluate_conditions = evaluate
    handlers._evaluate_conditions = evaluate
    stacks._evaluate_conditions = evaluate
