"""What every client is asked to do, in words of the wire; each client's own script says how it does it."""

import os
import sys
import time

URL = os.environ["EBBTIDE_URL"]
PROJECT = os.environ["EBBTIDE_PROJECT"]
#: Set where the server checks who asks.
ACCESS_KEY = os.environ.get("EBBTIDE_ACCESS_KEY")
SECRET_KEY = os.environ.get("EBBTIDE_SECRET_KEY")
TOKEN = os.environ.get("EBBTIDE_TOKEN")
USER = os.environ.get("EBBTIDE_USER")
PASSWORD = os.environ.get("EBBTIDE_PASSWORD")

FIVE_MINUTES = 300_000
NAMESPACE = "MINE.APP"


class Expected:
    """One client's series: a dozen points in two windows of five minutes that are over."""

    def __init__(self, client):
        self.host = f"{client}-1"
        self.metric = "cpu_util"
        now = int(time.time() * 1000)
        self.start = now // FIVE_MINUTES * FIVE_MINUTES - 2 * FIVE_MINUTES
        self.end = self.start + 2 * FIVE_MINUTES - 1
        self.points = [(self.start + 50_000 * at, 10 * at + 1) for at in range(12)]
        #: By window: 6 points each, integers, cut toward zero.
        self.averages = [(self.start, 26), (self.start + FIVE_MINUTES, 86)]
        self.largest = [(self.start, 51), (self.start + FIVE_MINUTES, 111)]

    def items(self):
        """The body of the ingest call."""
        return [
            {
                "metric": {
                    "namespace": NAMESPACE,
                    "metric_name": self.metric,
                    "dimensions": [{"name": "instance_id", "value": self.host}],
                },
                "ttl": 172_800,
                "collect_time": at,
                "value": value,
                "unit": "%",
                "type": "int",
            }
            for at, value in self.points
        ]


class BackupExpected:
    """One client's backup policy, and volumes for it."""

    def __init__(self, client):
        self.name = f"{client}-nightly"
        self.volumes = [f"{client}-1", f"{client}-2"]
        self.schedule = {
            "remain_first_backup_of_curMonth": "N",
            "rentention_num": 2,
            "frequency": 1,
            "start_time": "02:00",
            "status": "ON",
        }


def wait_for(what, done):
    """Looks until `done` gives something."""
    for _ in range(100):
        found = done()
        if found:
            return found
        time.sleep(0.1)
    sys.exit(f"FAILED {what}: it takes too long")


def check(what, found, expected):
    if found != expected:
        sys.exit(f"FAILED {what}: found {found!r}, expected {expected!r}")
    print(f"ok {what}", flush=True)


def refused(what, call, *, status):
    """Demands that a call is refused with this status, however the client tells it."""
    try:
        call()
    except Exception as error:  # pylint: disable=broad-except
        told = [getattr(error, name, None) for name in ("status_code", "http_status", "code")]
        if status in told or f"(HTTP {status})" in str(error):
            print(f"ok {what} is refused", flush=True)
            return
        sys.exit(f"FAILED {what}: refused as {error!r}, expected {status}")
    sys.exit(f"FAILED {what}: accepted, expected {status}")
