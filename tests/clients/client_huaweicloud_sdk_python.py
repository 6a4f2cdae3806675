"""huaweicloud-sdk-python, signed in the `Credential` form, with a token, and logged in."""

import os

import shim  # noqa: F401  (before the SDK)
from common import ACCESS_KEY, NAMESPACE, PASSWORD, PROJECT, SECRET_KEY, TOKEN, URL, USER, Expected, check, refused

OVERRIDE = "OS_CLOUD_EYE_ENDPOINT_OVERRIDE"
os.environ[OVERRIDE] = f"{URL}/V1.0/{PROJECT}"

from openstack import connection  # noqa: E402
from openstack.cloud_eye import cloud_eye_service  # noqa: E402


def signed(secret):
    return connection.Connection(
        ak=ACCESS_KEY or "any",
        sk=secret or "any",
        project_id=PROJECT,
        region="eu-de",
        domain="example.com",
        domain_id="any",
    )


def with_token(token):
    return connection.Connection(auth_url=f"{URL}/v3", auth_token=token)


def logged_in(password):
    return connection.Connection(
        auth_url=f"{URL}/v3",
        username=USER,
        password=password,
        project_id=PROJECT,
        user_domain_name="Default",
    )


def try_all(ces, ours):
    check("ingest", ces.add_metric_data(ours.items()).status_code, 201)
    dimensions = [{"name": "instance_id", "value": ours.host}]

    def show(period, function):
        asked = {"from": ours.start, "to": ours.end, "period": period, "filter": function}
        found = ces.metric_aggregations(
            namespace=NAMESPACE, metric_name=ours.metric, dimensions=dimensions, **asked
        )
        return [(point.timestamp, getattr(point, function)) for point in found]

    check("raw query", show(1, "average"), ours.points)
    check("averages", show(300, "average"), ours.averages)
    check("largest", show(300, "max"), ours.largest)
    # The SDK has no call for it, so it is made as its own calls are.
    metric = {"namespace": NAMESPACE, "metric_name": ours.metric, "dimensions": dimensions}
    body = {"metrics": [metric], "from": ours.start, "to": ours.end, "period": "300", "filter": "average"}
    service = cloud_eye_service.CloudEyeService()
    answer = ces._session.post(
        "/batch-query-metric-data",
        endpoint_filter=service,
        endpoint_override=service.get_endpoint_override(),
        json=body,
    )
    points = answer.json()["metrics"][0]["datapoints"]
    check("batch query", [(point["timestamp"], point["average"]) for point in points], ours.averages)
    # Its list ends on an empty page only.
    listed = [each.dimensions[0]["value"] for each in ces.metrics(namespace=NAMESPACE, limit=1)]
    check("list of metrics", (ours.host in listed, len(listed)), (True, len(set(listed))))
    check("quotas", [each.type for each in ces.quotas()], ["alarm"])


try_all(signed(SECRET_KEY).cloud_eye, Expected("sdk-python-signed"))
if SECRET_KEY:
    refused("a wrong signature", lambda: list(signed("another secret").cloud_eye.quotas()), status=401)
if TOKEN:
    try_all(with_token(TOKEN).cloud_eye, Expected("sdk-python-token"))
    refused("a wrong token", lambda: list(with_token("another token").cloud_eye.quotas()), status=401)
if USER:
    # The catalogue says where Cloud Eye is.
    del os.environ[OVERRIDE]
    try_all(logged_in(PASSWORD).cloud_eye, Expected("sdk-python-login"))
