"""Calls of ``run_benchmark`` as tests write them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ava_detect.benchmark import PeopleOptions, SplitOptions
from ava_detect.models.network_options import NetworkOptions


def as_arguments(settings: dict[str, Any]) -> dict[str, Any]:
    """The options that tests name one by one, grouped as ``run_benchmark`` takes them."""
    groups: dict[str, Any] = {"split": SplitOptions, "people": PeopleOptions, "network": NetworkOptions}
    arguments = dict(settings)
    for name, group in groups.items():
        known = {field.name for field in fields(group)}
        arguments[name] = group(**{key: arguments.pop(key) for key in known & set(arguments)})
    return arguments
