"""huaweicloudsdkces, signed in the `Access` form."""

from common import ACCESS_KEY, NAMESPACE, PROJECT, SECRET_KEY, URL, Expected, check, refused
from huaweicloudsdkces.v1 import (
    BatchListMetricDataRequest,
    BatchListMetricDataRequestBody,
    CesClient,
    CreateMetricDataRequest,
    CreateMetricDataRequestBody,
    ListMetricsRequest,
    MetricInfo,
    MetricsDimension,
    ShowMetricDataRequest,
)
from huaweicloudsdkcore.auth.credentials import BasicCredentials


def client(secret):
    who = BasicCredentials(ACCESS_KEY or "any", secret or "any", PROJECT)
    return CesClient.new_builder().with_credentials(who).with_endpoint(URL).build()


ces = client(SECRET_KEY)
ours = Expected("huaweicloudsdkces")

items = []
for item in ours.items():
    dimensions = [MetricsDimension(**each) for each in item["metric"].pop("dimensions")]
    metric = MetricInfo(dimensions=dimensions, **item.pop("metric"))
    items.append(CreateMetricDataRequestBody(metric=metric, **item))
check("ingest", ces.create_metric_data(CreateMetricDataRequest(body=items)).status_code, 201)
for item in items:
    item.metric.dimensions[0].value += "-too"
check("ingest of another series", ces.create_metric_data(CreateMetricDataRequest(body=items)).status_code, 201)


def show(period, function):
    request = ShowMetricDataRequest(
        namespace=NAMESPACE,
        metric_name=ours.metric,
        dim_0=f"instance_id,{ours.host}",
        filter=function,
        period=period,
        _from=ours.start,
        to=ours.end,
    )
    points = ces.show_metric_data(request).datapoints
    return [(point.timestamp, getattr(point, function)) for point in points]


check("raw query", show(1, "average"), ours.points)
check("averages", show(300, "average"), ours.averages)
check("largest", show(300, "max"), ours.largest)

metrics = [
    MetricInfo(NAMESPACE, ours.metric, [MetricsDimension("instance_id", host)]) for host in (ours.host, "nobody")
]
body = BatchListMetricDataRequestBody(metrics=metrics, _from=ours.start, to=ours.end, period="300", filter="average")
found = ces.batch_list_metric_data(BatchListMetricDataRequest(body=body)).metrics
check("batch query", [(p.timestamp, p.average) for p in found[0].datapoints], ours.averages)
check("its unit", found[0].unit, "%")
check("its element without data", (found[1].datapoints, found[1].dimensions[0].value), ([], "nobody"))

start, listed = None, []
while True:
    page = ces.list_metrics(ListMetricsRequest(namespace=NAMESPACE, limit=1, start=start, order="asc"))
    if not page.metrics:
        break
    listed += [each.dimensions[0].value for each in page.metrics]
    start = page.meta_data.marker
check("list of metrics", [host in listed for host in (ours.host, ours.host + "-too")], [True, True])
check("each of them once", len(listed), len(set(listed)))

if SECRET_KEY:
    stranger = client("another secret")
    refused("a wrong signature", lambda: stranger.list_metrics(ListMetricsRequest()), status=401)
