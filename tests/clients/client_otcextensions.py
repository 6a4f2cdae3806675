"""openstacksdk with otcextensions: without a log-in where nobody is asked, and through the log-in where somebody is."""

import openstack
from common import NAMESPACE, PASSWORD, PROJECT, URL, USER, Expected, check, refused
from otcextensions import sdk


def connect(password):
    if USER is None:
        connection = openstack.connection.Connection(
            auth_type="admin_token",
            auth={"endpoint": f"{URL}/V1.0/{PROJECT}", "token": "any"},
            ces_endpoint_override=f"{URL}/V1.0/{PROJECT}",
        )
        sdk.register_single_service(connection, "ces", project_id=PROJECT)
        return connection
    connection = openstack.connection.Connection(
        auth={
            "auth_url": f"{URL}/v3",
            "username": USER,
            "password": password,
            "project_id": PROJECT,
            "user_domain_name": "Default",
        },
        region_name="eu-de",
        interface="public",
    )
    sdk.load(connection)
    return connection


connection = connect(PASSWORD)
ours = Expected("otcextensions")
# The SDK has no call for it, so this is what its users write.
check("ingest", connection.ces.post("/metric-data", json=ours.items()).status_code, 201)

series = {"namespace": NAMESPACE, "metric_name": ours.metric, "dim.0": f"instance_id,{ours.host}"}


def show(period, function, attribute):
    asked = {"from": ours.start, "to": ours.end, "period": period, "filter": function, **series}
    points = [point for answer in connection.ces.metric_data(**asked) for point in answer.datapoints]
    return [(point["timestamp"], point[attribute]) for point in points]


check("raw query", show(1, "average", "average"), ours.points)
check("averages", show(300, "average", "average"), ours.averages)
check("largest", show(300, "max", "maximum"), ours.largest)

asked = {
    "metrics": [
        {
            "namespace": NAMESPACE,
            "metric_name": ours.metric,
            "dimensions": [{"name": "instance_id", "value": ours.host}],
        }
    ],
    "from": ours.start,
    "to": ours.end,
    "period": "300",
    "filter": "average",
}
answer = connection.ces.post("/batch-query-metric-data", json=asked).json()
found = [(point["timestamp"], point["average"]) for point in answer["metrics"][0]["datapoints"]]
check("batch query", found, ours.averages)

listed = connection.ces.metrics(namespace=NAMESPACE, dim=f"instance_id,{ours.host}", limit=1000)
check("list of metrics", [(each.metric_name, each.unit) for each in listed], [(ours.metric, "%")])
check("quotas", [each["type"] for quota in connection.ces.quotas() for each in quota.resources], ["alarm"])
check("alarms", list(connection.ces.alarms()), [])

if USER is not None:
    refused("a wrong password", lambda: connect("another password").authorize(), status=401)
