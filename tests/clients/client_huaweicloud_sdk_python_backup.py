"""huaweicloud-sdk-python: backup policies, signed, with a token, and logged in."""

import os

import shim  # noqa: F401  (before the SDK)
from common import (
    ACCESS_KEY,
    PASSWORD,
    PROJECT,
    SECRET_KEY,
    TOKEN,
    URL,
    USER,
    BackupExpected,
    check,
    refused,
    wait_for,
)

OVERRIDE = "OS_VOLUME_BACKUP_ENDPOINT_OVERRIDE"
os.environ[OVERRIDE] = f"{URL}/v2/{PROJECT}"

from openstack import connection  # noqa: E402


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


def try_all(backup, ours):
    def listed():
        return {policy.id: policy for policy in backup.backup_policies()}

    policy = backup.create_backup_policy(ours.name, **ours.schedule)
    found = listed()[policy.id]
    check("create and list", (found.name, found.policy_resource_count), (ours.name, 0))
    check("frequency", found.scheduled_policy.frequency, ours.schedule["frequency"])

    linked = backup.link_resources_to_policy(policy, ours.volumes)
    check("associate", [(each.resource_id, each.success) for each in linked], [(each, True) for each in ours.volumes])
    bad = backup.link_resources_to_policy(policy, ["not a volume"])
    check("a volume that cannot be", [(each.success, each.code) for each in bad], [(False, "AutoBackup.0209")])

    backup.update_backup_policy(policy, scheduled_policy={"rentention_num": 5})
    changed = listed()[policy.id].scheduled_policy
    check("update", (changed.rentention_num, changed.start_time), (5, ours.schedule["start_time"]))
    backup.disable_policy(policy)
    check("disable", listed()[policy.id].scheduled_policy.status, "OFF")

    backup.execute_policy(policy)

    def finished():
        tasks = list(backup.tasks(policy))
        return tasks if len(tasks) == 2 and all(task.finished_at for task in tasks) else None

    tasks = wait_for("tasks", finished)
    check("tasks", {task.status for task in tasks}, {"EXECUTE_SUCCESS"})
    check("tasks in pages", len(list(backup.tasks(policy, limit=1))), 2)
    job = backup.get_job(tasks[0].id)
    check("job", (job.status, job.entities["volume_id"]), ("SUCCESS", tasks[0].resource_id))

    made = backup.get_backup(job.entities["backup_id"])
    check("backup", (made.name, made.status), (tasks[0].backup_name, "available"))
    # Its list ends on an empty page only.
    names = [each.name for each in backup.backups(details=True, volume_id=ours.volumes[0], limit=1)]
    check("backups", names, [tasks[0].backup_name])
    by_hand = backup.create_backup(volume_id=ours.volumes[0], name=ours.name)
    wait_for("a backup by hand", lambda: backup.get_job(by_hand.job_id).status == "SUCCESS")

    unlinked = backup.unlink_resources_of_policy(policy, ours.volumes)
    check("disassociate", [each.success for each in unlinked], [True, True])
    backup.delete_backup_policy(policy, ignore_missing=False)
    check("delete", policy.id in listed(), False)


try_all(signed(SECRET_KEY).volume_backup, BackupExpected("sdk-python-signed"))
if SECRET_KEY:
    refused("a wrong signature", lambda: list(signed("another secret").volume_backup.backup_policies()), status=401)
if TOKEN:
    try_all(with_token(TOKEN).volume_backup, BackupExpected("sdk-python-token"))
    refused("a wrong token", lambda: list(with_token("another token").volume_backup.backup_policies()), status=401)
if USER:
    # The catalogue says where Volume Backup is.
    del os.environ[OVERRIDE]
    try_all(logged_in(PASSWORD).volume_backup, BackupExpected("sdk-python-login"))
