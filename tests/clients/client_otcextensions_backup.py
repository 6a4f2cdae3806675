"""openstacksdk with otcextensions: backup policies, through the log-in where somebody is asked who they are."""

import openstack
from common import PASSWORD, PROJECT, URL, USER, BackupExpected, check, refused, wait_for
from otcextensions import sdk


def connect(password):
    if USER is None:
        connection = openstack.connection.Connection(
            auth_type="admin_token",
            auth={"endpoint": f"{URL}/v2/{PROJECT}", "token": "any"},
            volume_backup_endpoint_override=f"{URL}/v2/{PROJECT}",
        )
        sdk.register_single_service(connection, "volume_backup", project_id=PROJECT)
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


backup = connect(PASSWORD).volume_backup
ours = BackupExpected("otcextensions")


def listed():
    return {policy.id: policy for policy in backup.backup_policies()}


policy = backup.create_backup_policy(name=ours.name, scheduled_policy=ours.schedule)
found = listed()[policy.id]
check("create and list", (found.name, found.policy_resource_count), (ours.name, 0))
check("schedule", {key: found.scheduled_policy[key] for key in ours.schedule}, ours.schedule)

answer = backup.link_resources_to_policy(policy, ours.volumes)
linked = [(each.resource_id, each.resource_type, each.availability_zone) for each in answer.success_resources]
check("associate", linked, [(each, "volume", "eu-de-01") for each in ours.volumes])
check("associate, failures", answer.fail_resources, [])
bad = backup.link_resources_to_policy(policy, ["not a volume"])
check("a volume that cannot be", [each.code for each in bad.fail_resources], ["AutoBackup.0209"])
check("count of volumes", listed()[policy.id].policy_resource_count, 2)

backup.disable_policy(policy)
check("disable", listed()[policy.id].scheduled_policy["status"], "OFF")
check("disable leaves the rest", listed()[policy.id].scheduled_policy["start_time"], ours.schedule["start_time"])
backup.enable_policy(policy)
check("enable", listed()[policy.id].scheduled_policy["status"], "ON")

backup.execute_policy(policy)


# The SDK's own calls for tasks and jobs fail inside of it, with the openstacksdk that it asks for, before anything is sent.
def tasks_of(**query):
    return backup.get(f"/backuppolicy/{policy.id}/backuptasks", params=query).json()["tasks"]


def finished():
    tasks = tasks_of()
    return tasks if len(tasks) == 2 and all("finished_at" in task for task in tasks) else None


tasks = wait_for("tasks", finished)
found = {(task["resource_id"], task["status"]) for task in tasks}
check("tasks", found, {(each, "EXECUTE_SUCCESS") for each in ours.volumes})
check("tasks by status", tasks_of(status="RUNNING"), [])
check("job", backup.get(f"/jobs/{tasks[0]['job_id']}").json()["status"], "SUCCESS")

answer = backup.unlink_resources_of_policy(policy, ours.volumes)
check("disassociate", [each.resource_id for each in answer.success_resources], ours.volumes)
answer = backup.unlink_resources_of_policy(policy, ours.volumes)
check("disassociate twice", [each.code for each in answer.fail_resources], ["AutoBackup.0208"] * 2)

backup.delete_backup_policy(policy, ignore_missing=False)
check("delete", policy.id in listed(), False)
refused("a policy that is not there", lambda: backup.delete_backup_policy(policy, ignore_missing=False), status=404)
