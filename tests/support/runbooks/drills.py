"""The runbook entries that can be followed on one machine."""

from typing import Final

from tests.support.runbooks.of_callers import OF_CALLERS
from tests.support.runbooks.of_money import OF_MONEY
from tests.support.runbooks.of_processes import OF_PROCESSES
from tests.support.runbooks.of_queues import OF_QUEUES
from tests.support.runbooks.of_servers import OF_SERVERS
from tests.support.runbooks.of_takedowns import OF_TAKEDOWNS

DRILLS: Final = (*OF_SERVERS, *OF_PROCESSES, *OF_MONEY, *OF_QUEUES, *OF_TAKEDOWNS, *OF_CALLERS)
