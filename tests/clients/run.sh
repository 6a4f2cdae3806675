#!/usr/bin/env bash
# Unmodified published clients against `ebbtide serve`: ingest, raw and aggregated query, batch query and list of metrics;
# backup policies made, associated, run, disassociated and deleted; without and with authentication. Usage: bash tests/clients/run.sh [the program, else it is built]
# Makes virtual environments of its own in target/clients; needs python3 and, for the first run, the package registry.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

program=${1:-}
if [ -z "$program" ]; then
    cargo build --release --features server
    program=target/release/ebbtide
fi
here=$PWD/tests/clients
work=$PWD/target/clients
mkdir -p "$work"

# The two SDKs of openstack's name exclude each other.
environment() {
    local dir=$work/$1
    shift
    if [ ! -f "$dir/complete" ]; then
        echo "== installing $*"
        rm -rf "$dir"
        python3 -m venv "$dir"
        "$dir/bin/pip" install --quiet --disable-pip-version-check "$@"
        touch "$dir/complete"
    fi
}
environment new huaweicloudsdkces==3.1.219 openstacksdk==4.22.0 otcextensions==0.34.8 python-openstackclient==10.5.0
environment old huaweicloud-sdk-python==1.0.28 setuptools

export EBBTIDE_PROJECT=b3bdf0e2f8f64a9f8f5c2c0f9a3d1e77
server=
stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=
    fi
}
trap stop EXIT

# Starts a server and waits for its address.
serve() {
    stop
    rm -f "$work/address"
    "$program" serve --memory --listen 127.0.0.1:0 --address-file "$work/address" "$@" >"$work/server.log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        [ -f "$work/address" ] && break
        sleep 0.1
    done
    EBBTIDE_URL=http://$(cat "$work/address")
    export EBBTIDE_URL
}

clients() {
    for each in new:huaweicloudsdkces new:otcextensions new:otcextensions_backup old:huaweicloud_sdk_python \
        old:huaweicloud_sdk_python_backup; do
        echo "== ${each#*:}, $1"
        (cd "$here" && PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore \
            "$work/${each%%:*}/bin/python" "client_${each#*:}.py")
    done
}

serve
clients "nobody is asked who they are"

export EBBTIDE_ACCESS_KEY=AKIDEXAMPLE EBBTIDE_SECRET_KEY=SKEXAMPLE0123456789
export EBBTIDE_TOKEN=a-token EBBTIDE_USER=tester EBBTIDE_PASSWORD=a-password
serve --access-key "$EBBTIDE_ACCESS_KEY:$EBBTIDE_SECRET_KEY=$EBBTIDE_PROJECT" \
    --token "$EBBTIDE_TOKEN=$EBBTIDE_PROJECT" --user "$EBBTIDE_USER:$EBBTIDE_PASSWORD=$EBBTIDE_PROJECT"
clients "everybody is asked who they are"

echo "== the command line of OpenStack, logged in"
listed=$(OS_AUTH_URL=$EBBTIDE_URL/v3 OS_USERNAME=$EBBTIDE_USER OS_PASSWORD=$EBBTIDE_PASSWORD \
    OS_PROJECT_ID=$EBBTIDE_PROJECT OS_USER_DOMAIN_NAME=Default OS_REGION_NAME=eu-de OS_INTERFACE=public \
    OS_IDENTITY_API_VERSION=3 "$work/new/bin/openstack" ces metric list --namespace MINE.APP -f value -c metric_name)
if [ "$(sort -u <<<"$listed")" != cpu_util ]; then
    echo "FAILED: \`openstack ces metric list\` says: $listed"
    exit 1
fi
echo "ok list of metrics"
echo "all clients work"
