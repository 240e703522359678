"""`python -m deploy.kubernetes.definitions < passwords.json`: the broker's topology with its logins, for the Secret
`fangate-rabbitmq-definitions`. The passwords come as `{"edge": "…", "auth": "…", …, "keda": "…"}` and leave as salted hashes.
"""

import json
import sys
from typing import Any, Final

from libs.common.bus.topology import USERS, definitions

KEDA: Final = "keda"  # reads queue lengths by the HTTP API, and nothing else


def with_logins(passwords: dict[str, str]) -> dict[str, Any]:
    """The definitions. Raises ValueError naming the logins that have no password, or that there are not."""
    if set(passwords) != {*USERS, KEDA}:
        raise ValueError(f"passwords are wanted for exactly: {', '.join(sorted((*USERS, KEDA)))}")
    document = definitions("/", users={name: passwords[name] for name in USERS})
    keda = definitions("/", users={"operator": passwords[KEDA]})["users"][0]
    document["users"].append({**keda, "name": KEDA, "tags": "monitoring"})
    document["permissions"].append({"user": KEDA, "vhost": "/", "configure": "^$", "write": "^$", "read": "^$"})
    return document


if __name__ == "__main__":
    try:
        print(json.dumps(with_logins(json.load(sys.stdin)), indent=1))
    except ValueError as exc:
        print(exc, file=sys.stderr)
        sys.exit(2)
