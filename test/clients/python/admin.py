"""What the admin API of the simulator is needed for: faults, and what was asked."""

import os

import requests

_hub = os.environ["HUB_ADMIN_URL"]


def add_fault(**rule):
    """Lets the next request that fits fail; the rule is the simulator's own."""
    requests.post(f"{_hub}/faults", json=rule, timeout=10).raise_for_status()


def count(route):
    """How many requests of a route there were so far."""
    reply = requests.get(f"{_hub}/counters", timeout=10)
    reply.raise_for_status()
    return reply.json().get(route, 0)
