"""How a notebook shows a policy."""

from __future__ import annotations

from typing import Any

from safefeedback.values import format_repr


def policy_repr(facts: dict[str, Any], acts_by: str) -> str:
    """A few lines about a policy: what it learnt, how it acts, and the shapes of what it reads and returns."""
    task, limit = facts.get("task", {}), facts.get("cost_limit")
    title = f"Policy: {facts.get('algorithm')} on {task.get('name')}, cost limit {limit}, seed {facts.get('seed')}"
    shapes = f"observations [n, {task.get('observation_dim')}] -> actions [n, {task.get('action_dim')}]"
    return format_repr(title, {"acts by": acts_by, "act": shapes})
