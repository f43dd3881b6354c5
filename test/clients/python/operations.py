"""
What the service client of Microsoft for Python does with a simulated hub: one operation after the other, each checked
by what can be read back. `npm run test:clients` starts the hub, sets the environment and reads the output.
"""

import base64
import json
import os
import sys
import time

from azure.core.credentials import AccessToken
from azure.iot.hub import IoTHubConfigurationManager, IoTHubJobManager, IoTHubRegistryManager
from azure.iot.hub.models import (
    AuthenticationMechanism,
    CloudToDeviceMethod,
    Configuration,
    ConfigurationContent,
    ConfigurationMetrics,
    ConfigurationQueriesTestInput,
    ExportImportDevice,
    JobProperties,
    JobRequest,
    QuerySpecification,
    SymmetricKey,
    Twin,
    TwinProperties,
)
from msrest.exceptions import HttpOperationError

from admin import add_fault, count
from blobs import read_blob, write_blob
from tap import equal, holds, operation, run_all

hub = os.environ["HUB_CONNECTION_STRING"]
reader = os.environ["READER_CONNECTION_STRING"]
slow_hub = os.environ["SLOW_HUB_CONNECTION_STRING"]
host = os.environ["HUB_HOST"]
input_container = os.environ["INPUT_CONTAINER_URI"]
output_container = os.environ["OUTPUT_CONTAINER_URI"]

registry = IoTHubRegistryManager.from_connection_string(hub)
configurations = IoTHubConfigurationManager.from_connection_string(hub)
jobs = IoTHubJobManager.from_connection_string(hub)

KEY_1 = base64.b64encode(b"1" * 32).decode()
KEY_2 = base64.b64encode(b"2" * 32).decode()
THUMBPRINT_1 = "A1" * 20
THUMBPRINT_2 = "b2" * 20


def refused(status, code, call):
    """Fails unless the call is refused with this status and this name in the header that names errors."""
    try:
        call()
    except HttpOperationError as error:
        named = error.response.headers.get("iothub-errorcode")
        equal((error.response.status_code, named), (status, code))
        envelope = json.loads(error.response.text)
        # The service has two envelopes: one with a text, another with a number.
        told = str(envelope.get("Message", "")).startswith(f"ErrorCode:{code};")
        holds(told or str(envelope.get("errorCode", "")).startswith(str(status)), f"the body is {envelope}")
        return
    raise AssertionError("it was not refused")


def ids(devices):
    return sorted(device.device_id for device in devices)


def query(text, **paging):
    return registry.query_iot_hub(QuerySpecification(query=text), **paging)


def finished(manager, job_id):
    """Waits for the end of a job."""
    for _ in range(300):
        job = manager.get_import_export_job(job_id)
        if job.status not in ("enqueued", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError("the job did not end within 15 seconds")


# ---------------------------------------------------------------------------------------------------------- devices


@operation("devices - create with symmetric keys")
def _():
    made = registry.create_device_with_sas("sas", KEY_1, KEY_2, "enabled", status_reason="new")
    equal(made.device_id, "sas")
    equal(made.authentication.type, "sas")
    equal(made.authentication.symmetric_key.primary_key, KEY_1)
    equal(made.authentication.symmetric_key.secondary_key, KEY_2)
    equal((made.status, made.status_reason, made.connection_state), ("enabled", "new", "Disconnected"))
    equal(made.cloud_to_device_message_count, 0)
    holds(made.generation_id and made.etag, "generation id or etag is missing")


@operation("devices - create with keys that the hub makes")
def _():
    registry.create_device_with_sas("minted", None, None, "disabled")
    made = registry.get_device("minted")
    equal(made.status, "disabled")
    keys = made.authentication.symmetric_key
    holds(len(base64.b64decode(keys.primary_key)) >= 16, "no primary key")
    holds(len(base64.b64decode(keys.secondary_key)) >= 16, "no secondary key")
    holds(keys.primary_key != keys.secondary_key, "both keys are the same")


@operation("devices - create with thumbprints")
def _():
    registry.create_device_with_x509("x509", THUMBPRINT_1, THUMBPRINT_2, "enabled")
    made = registry.get_device("x509")
    equal(made.authentication.type, "selfSigned")
    equal(made.authentication.x509_thumbprint.primary_thumbprint, THUMBPRINT_1)
    equal(made.authentication.x509_thumbprint.secondary_thumbprint, THUMBPRINT_2)


@operation("devices - create with a certificate authority")
def _():
    registry.create_device_with_certificate_authority("ca", "enabled")
    made = registry.get_device("ca")
    equal(made.authentication.type, "certificateAuthority")
    equal(made.authentication.symmetric_key.primary_key, None)


@operation("devices - create an edge device, and a child in its scope")
def _():
    edge = registry.create_device_with_sas("edge", KEY_1, KEY_2, "enabled", iot_edge=True)
    equal(edge.capabilities.iot_edge, True)
    holds(edge.device_scope.startswith("ms-azure-iot-edge://edge-"), f"its scope is {edge.device_scope!r}")
    registry.create_device_with_sas("leaf", KEY_1, KEY_2, "enabled", device_scope=edge.device_scope)
    leaf = registry.get_device("leaf")
    equal((leaf.capabilities.iot_edge, leaf.device_scope), (False, edge.device_scope))
    equal(leaf.parent_scopes, [edge.device_scope])


@operation("devices - an id with every special character that is allowed")
def _():
    device_id = "odd-:.+%_#*?!(),=@;$'25%25"
    registry.create_device_with_sas(device_id, KEY_1, KEY_2, "enabled")
    equal(registry.get_device(device_id).device_id, device_id)
    equal(registry.get_twin(device_id).device_id, device_id)
    registry.delete_device(device_id)
    refused(404, "DeviceNotFound", lambda: registry.get_device(device_id))


@operation("devices - create refuses an id that exists")
def _():
    refused(
        409,
        "DeviceAlreadyExists",
        lambda: registry.create_device_with_sas("sas", KEY_1, KEY_2, "enabled"),
    )


@operation("devices - create refuses a key that is no base64")
def _():
    refused(
        400,
        "ArgumentInvalid",
        lambda: registry.create_device_with_sas("bad", "not base64!", "not base64!", "enabled"),
    )


@operation("devices - get")
def _():
    device = registry.get_device("sas")
    equal((device.device_id, device.status), ("sas", "enabled"))
    equal(device.authentication.symmetric_key.primary_key, KEY_1)
    # The service's "never"; the time of the last change of the status is a real one.
    equal(device.last_activity_time.year, 1)
    equal(device.connection_state_updated_time.year, 1)


@operation("devices - get refuses an id that does not exist")
def _():
    refused(404, "DeviceNotFound", lambda: registry.get_device("nobody"))


@operation("devices - list")
def _():
    equal(ids(registry.get_devices()), ["ca", "edge", "leaf", "minted", "sas", "x509"])
    equal(len(registry.get_devices(2)), 2)
    equal(len(registry.get_devices(0)), 6)


@operation("devices - update with the etag that was read")
def _():
    before = registry.get_device("sas")
    changed = registry.update_device_with_sas(
        "sas", before.etag, KEY_2, KEY_1, "disabled", status_reason="why not"
    )
    holds(changed.etag != before.etag, "the etag did not change")
    after = registry.get_device("sas")
    equal((after.status, after.status_reason), ("disabled", "why not"))
    equal(after.authentication.symmetric_key.primary_key, KEY_2)
    equal(after.generation_id, before.generation_id)
    holds(after.status_updated_time.year > 2000, "the status was never updated")


@operation("devices - update refuses an etag that is old")
def _():
    refused(
        412,
        "PreconditionFailed",
        lambda: registry.update_device_with_sas("sas", "AAAA", KEY_1, KEY_2, "enabled"),
    )
    equal(registry.get_device("sas").status, "disabled")


@operation("devices - update whatever the etag, to thumbprints and to a certificate authority")
def _():
    registry.update_device_with_x509("minted", None, THUMBPRINT_2, THUMBPRINT_1, "enabled")
    equal(registry.get_device("minted").authentication.x509_thumbprint.primary_thumbprint, THUMBPRINT_2)
    registry.update_device_with_certificate_authority("minted", None, "enabled")
    equal(registry.get_device("minted").authentication.type, "certificateAuthority")


@operation("devices - update refuses an id that does not exist")
def _():
    refused(
        404,
        "DeviceNotFound",
        lambda: registry.update_device_with_sas("nobody", None, KEY_1, KEY_2, "enabled"),
    )


@operation("devices - delete refuses an etag that is old, and takes the one that was read")
def _():
    refused(412, "PreconditionFailed", lambda: registry.delete_device("minted", "AAAA"))
    registry.delete_device("minted", registry.get_device("minted").etag)
    refused(404, "DeviceNotFound", lambda: registry.get_device("minted"))
    refused(404, "DeviceNotFound", lambda: registry.delete_device("minted"))


# ---------------------------------------------------------------------------------------------------------- modules


@operation("modules - create with symmetric keys")
def _():
    registry.create_module_with_sas("x509", "m1", "me", KEY_1, KEY_2)
    made = registry.get_module("x509", "m1")
    equal((made.device_id, made.module_id, made.managed_by), ("x509", "m1", "me"))
    equal(made.authentication.symmetric_key.secondary_key, KEY_2)
    holds(made.generation_id and made.etag, "generation id or etag is missing")


@operation("modules - create with thumbprints")
def _():
    registry.create_module_with_x509("x509", "m2", "", THUMBPRINT_1, THUMBPRINT_2)
    made = registry.get_module("x509", "m2")
    equal(made.authentication.type, "selfSigned")
    equal(made.authentication.x509_thumbprint.primary_thumbprint, THUMBPRINT_1)


@operation("modules - create with a certificate authority")
def _():
    registry.create_module_with_certificate_authority("x509", "m3", "")
    equal(registry.get_module("x509", "m3").authentication.type, "certificateAuthority")


@operation("modules - create refuses an id that exists, a reserved one, and a device that does not exist")
def _():
    create = registry.create_module_with_sas
    refused(409, "ModuleAlreadyExistsOnDevice", lambda: create("x509", "m1", "", KEY_1, KEY_2))
    refused(400, "ArgumentInvalid", lambda: create("edge", "$other", "", KEY_1, KEY_2))
    # As seen on real hubs under a shared access signature.
    refused(401, "IotHubUnauthorizedAccess", lambda: create("nobody", "m1", "", KEY_1, KEY_2))


@operation("modules - list")
def _():
    equal(sorted(module.module_id for module in registry.get_modules("x509")), ["m1", "m2", "m3"])
    equal(registry.get_modules("ca"), [])


@operation("modules - an edge device has its system modules")
def _():
    modules = {module.module_id: module for module in registry.get_modules("edge")}
    equal(sorted(modules), ["$edgeAgent", "$edgeHub"])
    equal(modules["$edgeAgent"].managed_by, "iotEdge")
    equal(modules["$edgeHub"].authentication.type, "none")


@operation("modules - update with the etag that was read, and refuse an old one")
def _():
    before = registry.get_module("x509", "m1")
    registry.update_module_with_sas("x509", "m1", "you", before.etag, KEY_2, KEY_1)
    after = registry.get_module("x509", "m1")
    equal((after.managed_by, after.authentication.symmetric_key.primary_key), ("you", KEY_2))
    update = registry.update_module_with_sas
    refused(412, "PreconditionFailed", lambda: update("x509", "m1", "him", before.etag, KEY_1, KEY_2))


@operation("modules - update to thumbprints and to a certificate authority")
def _():
    registry.update_module_with_x509("x509", "m3", "", None, THUMBPRINT_2, THUMBPRINT_1)
    equal(registry.get_module("x509", "m3").authentication.type, "selfSigned")
    registry.update_module_with_certificate_authority("x509", "m2", "", registry.get_module("x509", "m2").etag)
    equal(registry.get_module("x509", "m2").authentication.type, "certificateAuthority")


@operation("modules - delete")
def _():
    registry.delete_module("x509", "m3", registry.get_module("x509", "m3").etag)
    registry.delete_module("x509", "m2")
    refused(404, "ModuleNotFound", lambda: registry.get_module("x509", "m2"))
    equal([module.module_id for module in registry.get_modules("x509")], ["m1"])
    refused(401, "IotHubUnauthorizedAccess", lambda: registry.get_modules("sas"))


# ------------------------------------------------------------------------------------------------------------ twins


@operation("twins - get")
def _():
    twin = registry.get_twin("sas")
    equal((twin.device_id, twin.module_id, twin.status), ("sas", None, "disabled"))
    equal((twin.tags, twin.version), ({}, 1))
    equal(twin.authentication_type, "sas")
    equal(twin.device_etag, registry.get_device("sas").etag)
    equal(twin.properties.desired["$version"], 1)
    equal(twin.properties.reported["$version"], 1)
    equal(twin.capabilities.iot_edge, False)


@operation("twins - update merges, and null deletes")
def _():
    first = Twin(
        tags={"site": {"city": "Bonn", "floor": 2}, "old": True},
        properties=TwinProperties(desired={"rate": 1.5, "deep": {"a": [1, "two"], "b": "ü€😀"}}),
    )
    registry.update_twin("sas", first)
    second = Twin(
        tags={"site": {"floor": 3}, "old": None},
        properties=TwinProperties(desired={"deep": {"a": None}}),
    )
    registry.update_twin("sas", second)
    twin = registry.get_twin("sas")
    equal(twin.tags, {"site": {"city": "Bonn", "floor": 3}})
    equal((twin.properties.desired["rate"], twin.properties.desired["deep"]), (1.5, {"b": "ü€😀"}))
    equal(twin.properties.desired["$version"], 3)
    holds("$lastUpdated" in twin.properties.desired["$metadata"]["deep"]["b"], "there is no metadata")


@operation("twins - update with the etag that was read, and refuse an old one")
def _():
    etag = registry.get_twin("sas").etag
    registry.update_twin("sas", Twin(tags={"n": 1}), etag)
    refused(412, "PreconditionFailed", lambda: registry.update_twin("sas", Twin(tags={"n": 2}), etag))
    equal(registry.get_twin("sas").tags["n"], 1)


@operation("twins - replace")
def _():
    registry.replace_twin("sas", Twin(tags={"only": "this"}, properties=TwinProperties(desired={"x": 1})))
    twin = registry.get_twin("sas")
    equal(twin.tags, {"only": "this"})
    equal(sorted(twin.properties.desired), ["$metadata", "$version", "x"])


@operation("twins - refuse a device that does not exist, and keys that are not allowed")
def _():
    refused(404, "DeviceNotFound", lambda: registry.get_twin("nobody"))
    refused(400, "ArgumentInvalid", lambda: registry.update_twin("sas", Twin(tags={"a.b": 1})))


@operation("module twins - get, update and replace")
def _():
    twin = registry.get_module_twin("x509", "m1")
    equal((twin.device_id, twin.module_id, twin.tags), ("x509", "m1", {}))
    registry.update_module_twin("x509", "m1", Twin(tags={"a": 1, "b": 2}))
    registry.update_module_twin("x509", "m1", Twin(tags={"b": None}), registry.get_module_twin("x509", "m1").etag)
    equal(registry.get_module_twin("x509", "m1").tags, {"a": 1})
    replaced = Twin(tags={}, properties=TwinProperties(desired={"y": 2}))
    registry.replace_module_twin("x509", "m1", replaced)
    twin = registry.get_module_twin("x509", "m1")
    equal((twin.tags, twin.properties.desired["y"]), ({}, 2))
    refused(404, "DeviceNotFound", lambda: registry.get_module_twin("x509", "nobody"))


# ------------------------------------------------------------------------------------------------------------- bulk


def bulk_device(device_id, mode, **fields):
    keys = SymmetricKey(primary_key=KEY_1, secondary_key=KEY_2)
    authentication = AuthenticationMechanism(type="sas", symmetric_key=keys)
    return ExportImportDevice(
        id=device_id, import_mode=mode, status="enabled", authentication=authentication, **fields
    )


@operation("bulk - create a hundred devices")
def _():
    devices = [bulk_device(f"bulk-{i:03}", "create", tags={"n": i}) for i in range(100)]
    result = registry.bulk_create_or_update_devices(devices)
    equal((result.is_successful, result.errors, result.warnings), (True, [], []))
    made = registry.get_device("bulk-042")
    equal((made.status, made.authentication.symmetric_key.primary_key), ("enabled", KEY_1))
    equal(registry.get_twin("bulk-042").tags, {"n": 42})


@operation("bulk - update, update of a twin, and delete in one call")
def _():
    changed = bulk_device("bulk-001", "update", status_reason="changed")
    changed.status = "disabled"
    twin = ExportImportDevice(id="bulk-002", import_mode="updateTwin", status="enabled", tags={"n": "two"})
    gone = ExportImportDevice(id="bulk-003", import_mode="delete", status="enabled")
    equal(registry.bulk_create_or_update_devices([changed, twin, gone]).is_successful, True)
    device = registry.get_device("bulk-001")
    equal((device.status, device.status_reason), ("disabled", "changed"))
    equal(registry.get_twin("bulk-002").tags["n"], "two")
    refused(404, "DeviceNotFound", lambda: registry.get_device("bulk-003"))


@operation("bulk - create a module")
def _():
    result = registry.bulk_create_or_update_devices([bulk_device("bulk-004", "create", module_id="m")])
    equal((result.is_successful, result.errors), (True, []))
    equal(registry.get_module("bulk-004", "m").module_id, "m")


@operation("bulk - names each entry that failed, and does the others")
def _():
    result = registry.bulk_create_or_update_devices(
        [bulk_device("bulk-001", "create"), bulk_device("nobody", "update"), bulk_device("late", "create")]
    )
    equal(result.is_successful, False)
    errors = {error.device_id: error.error_code for error in result.errors}
    equal(sorted(errors), ["bulk-001", "nobody"])
    holds(errors["bulk-001"] in ("DeviceAlreadyExists", "409001"), f"the code is {errors['bulk-001']}")
    holds(errors["nobody"] in ("DeviceNotFound", "404001"), f"the code is {errors['nobody']}")
    equal(registry.get_device("late").status, "enabled")


@operation("bulk - respects an etag")
def _():
    old = bulk_device("late", "updateIfMatchETag", e_tag="AAAA")
    equal(registry.bulk_create_or_update_devices([old]).is_successful, False)
    right = bulk_device("late", "deleteIfMatchETag", e_tag=registry.get_device("late").etag)
    equal(registry.bulk_create_or_update_devices([right]).is_successful, True)
    refused(404, "DeviceNotFound", lambda: registry.get_device("late"))


@operation("bulk - refuses more than a hundred entries")
def _():
    many = [bulk_device(f"many-{i}", "create") for i in range(101)]
    refused(413, "TooManyDevices", lambda: registry.bulk_create_or_update_devices(many))
    refused(404, "DeviceNotFound", lambda: registry.get_device("many-0"))


@operation("bulk - an error that is no result looks like one without an outcome")
def _():
    # The client takes every answer 400 for a result; this one has none of its fields.
    result = registry.bulk_create_or_update_devices([bulk_device("twice", "create")] * 2)
    equal((result.is_successful, result.errors), (None, None))
    holds(result.additional_properties["Message"].startswith("ErrorCode:"), "there is no envelope")


# ------------------------------------------------------------------------------------------------------------ query


@operation("query - twins of all devices")
def _():
    first = query("SELECT * FROM devices")
    equal(first.type, "Twin")
    rest = query("SELECT * FROM devices", continuation_token=first.continuation_token)
    equal(rest.continuation_token, None)
    twins = {twin.device_id: twin for twin in first.items + rest.items}
    equal(len(twins), 104)
    one = twins["bulk-042"]
    equal((one.tags, one.status, one.version), ({"n": 42}, "enabled", registry.get_twin("bulk-042").version))


@operation("query - pages, with a continuation token")
def _():
    seen, token, pages = [], None, 0
    while True:
        result = query("SELECT * FROM devices", continuation_token=token, max_item_count=30)
        seen += ids(result.items)
        pages += 1
        token = result.continuation_token
        if token is None:
            break
    equal((pages, len(seen), len(set(seen))), (4, 104, 104))


@operation("query - where")
def _():
    def found(condition):
        return ids(query(f"SELECT * FROM devices WHERE {condition}").items)

    equal(found("tags.only = 'this' AND properties.desired.x >= 1"), ["sas"])
    equal(found("tags.n IN [10, 11] OR tags.n = 'two'"), ["bulk-002", "bulk-010", "bulk-011"])
    equal(found("status = 'disabled' AND NOT startswith(deviceId, 'bulk')"), ["sas"])
    equal(found("is_defined(tags.n) AND tags.n > 97"), ["bulk-098", "bulk-099"])
    equal(found("capabilities.iotEdge = true"), ["edge"])


@operation("query - twins of modules")
def _():
    items = query("SELECT * FROM devices.modules").items
    found = sorted((twin.device_id, twin.module_id) for twin in items)
    equal(found, [("bulk-004", "m"), ("edge", "$edgeAgent"), ("edge", "$edgeHub"), ("x509", "m1")])


# Whatever a query selects, the client hands out twins; fields that a twin has not are among the additional ones.


@operation("query - a projection")
def _():
    result = query("SELECT deviceId, tags.only AS only FROM devices WHERE tags.only = 'this'")
    equal((result.type, ids(result.items)), ("Raw", ["sas"]))
    equal(result.items[0].additional_properties, {"only": "this"})


@operation("query - a count")
def _():
    result = query("SELECT COUNT() AS total FROM devices")
    equal((result.type, len(result.items), result.items[0].device_id), ("Raw", 1, None))
    equal(result.items[0].additional_properties, {"total": 104})


@operation("query - refuses what is not in the language")
def _():
    refused(400, "ArgumentInvalid", lambda: query("SELECT * FROM nowhere"))
    refused(400, "ArgumentInvalid", lambda: query("SELECT * FROM devices WHERE"))


# --------------------------------------------------------------------------------------------------- configurations


def device_configuration(configuration_id, **fields):
    content = ConfigurationContent(device_content={"properties.desired.heating": {"target": 21}})
    defaults = {
        "schema_version": "1.0",
        "content": content,
        "target_condition": "tags.only = 'this'",
        "priority": 10,
        "labels": {"owner": "me"},
    }
    return Configuration(id=configuration_id, **{**defaults, **fields})


def until(check):
    """Waits until the check holds: configurations act when they like."""
    for _ in range(200):
        if check():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 10 seconds")


@operation("configurations - create and get")
def _():
    metrics = ConfigurationMetrics(queries={"warm": "SELECT deviceId FROM devices WHERE tags.warm = true"})
    made = configurations.create_configuration(device_configuration("heating", metrics=metrics))
    equal(made.id, "heating")
    read = configurations.get_configuration("heating")
    equal((read.schema_version, read.priority, read.labels), ("1.0", 10, {"owner": "me"}))
    equal(read.target_condition, "tags.only = 'this'")
    equal(read.content.device_content, {"properties.desired.heating": {"target": 21}})
    equal(list(read.metrics.queries), ["warm"])
    holds(read.created_time_utc.year > 2000 and read.etag, "time or etag is missing")
    holds("targetedCount" in read.system_metrics.queries, "there are no system metrics")


@operation("configurations - act on the twins that they target")
def _():
    until(lambda: registry.get_twin("sas").properties.desired.get("heating") == {"target": 21})
    equal(registry.get_twin("sas").properties.desired["x"], 1)
    equal("heating" in registry.get_twin("x509").properties.desired, False)


@operation("configurations - create refuses an id that exists, capitals, and a bad condition")
def _():
    create = configurations.create_configuration
    refused(409, "ConfigurationAlreadyExists", lambda: create(device_configuration("heating")))
    refused(400, "ArgumentInvalid", lambda: create(device_configuration("Heating")))
    bad = device_configuration("bad", target_condition="tags.only ~ 1")
    refused(400, "InvalidConfigurationTargetCondition", lambda: create(bad))


@operation("configurations - update with the etag in quotes")
def _():
    read = configurations.get_configuration("heating")
    read.priority, read.labels = 20, {"owner": "you"}
    configurations.update_configuration(read, f'"{read.etag}"')
    after = configurations.get_configuration("heating")
    equal((after.priority, after.labels), (20, {"owner": "you"}))
    holds(after.etag != read.etag, "the etag did not change")


@operation("configurations - update with the etag as it was read is refused, since the client does not quote it")
def _():
    read = configurations.get_configuration("heating")
    refused(
        409, "ConfigurationAlreadyExists", lambda: configurations.update_configuration(read, read.etag)
    )


@operation("configurations - update refuses an old etag")
def _():
    read = configurations.get_configuration("heating")
    refused(
        412, "PreconditionFailed", lambda: configurations.update_configuration(read, '"AAAA"')
    )


@operation("configurations - update keeps the old content")
def _():
    changed = device_configuration("heating", priority=30)
    changed.content.device_content = {"properties.desired.heating": {"target": 5}}
    configurations.update_configuration(changed, "*")
    read = configurations.get_configuration("heating")
    equal((read.priority, read.content.device_content["properties.desired.heating"]), (30, {"target": 21}))


@operation("configurations - create an edge deployment, which reaches its modules")
def _():
    registry.update_twin("edge", Twin(tags={"line": 7}))
    desired = {"schemaVersion": "1.1", "modules": {}, "runtime": {"type": "docker"}}
    content = ConfigurationContent(
        modules_content={
            "$edgeAgent": {"properties.desired": desired},
            "$edgeHub": {"properties.desired": {"schemaVersion": "1.1", "routes": {}}},
        }
    )
    made = device_configuration("deployment", content=content, target_condition="tags.line = 7")
    configurations.create_configuration(made)
    equal(
        configurations.get_configuration("deployment").content.modules_content["$edgeAgent"],
        {"properties.desired": desired},
    )
    until(lambda: "runtime" in registry.get_module_twin("edge", "$edgeAgent").properties.desired)


@operation("configurations - list")
def _():
    listed = configurations.get_configurations()
    equal(sorted(one.id for one in listed), ["deployment", "heating"])
    holds(len(configurations.get_configurations(5)) == 2, "the list with a number is not the same")


@operation("configurations - test queries")
def _():
    good = ConfigurationQueriesTestInput(
        target_condition="tags.only = 'this'",
        custom_metric_queries={"all": "SELECT deviceId FROM devices"},
    )
    answer = configurations.test_configuration_queries(good)
    holds(not answer.target_condition_error, f"the condition is refused: {answer.target_condition_error}")
    holds(not answer.custom_metric_query_errors, "the query is refused")
    bad = ConfigurationQueriesTestInput(
        target_condition="tags.only ~ 1", custom_metric_queries={"all": "SELECT FROM"}
    )
    answer = configurations.test_configuration_queries(bad)
    holds(answer.target_condition_error, "the condition is taken")
    equal(list(answer.custom_metric_query_errors), ["all"])


@operation("configurations - delete, with the etag in quotes or without")
def _():
    etag = configurations.get_configuration("heating").etag
    configurations.delete_configuration("heating", f'"{etag}"')
    configurations.delete_configuration("deployment")
    refused(404, "ConfigurationNotFound", lambda: configurations.get_configuration("heating"))
    equal(configurations.get_configurations(), [])


@operation("configurations - apply content on an edge device")
def _():
    agent = {"schemaVersion": "1.1", "runtime": {"type": "docker"}, "modules": {"thermo": {"type": "docker"}}}
    content = ConfigurationContent(
        modules_content={
            "$edgeAgent": {"properties.desired": agent},
            "$edgeHub": {"properties.desired": {"schemaVersion": "1.1"}},
            "thermo": {"properties.desired": {"unit": "C"}},
        }
    )
    configurations.apply_configuration_on_edge_device("edge", content)
    desired = registry.get_module_twin("edge", "$edgeAgent").properties.desired
    equal(desired["modules"], {"thermo": {"type": "docker"}})
    equal(registry.get_module_twin("edge", "thermo").properties.desired["unit"], "C")
    apply = configurations.apply_configuration_on_edge_device
    refused(400, "ArgumentInvalid", lambda: apply("x509", content))
    refused(404, "DeviceNotFound", lambda: apply("nobody", content))


# ------------------------------------------------------------------------------------------------------- statistics


@operation("statistics - of the registry")
def _():
    statistics = registry.get_device_registry_statistics()
    equal(statistics.total_device_count, len(registry.get_devices()))
    equal(statistics.disabled_device_count, 2)
    equal(statistics.enabled_device_count, statistics.total_device_count - 2)


@operation("statistics - of the service")
def _():
    equal(registry.get_service_statistics().connected_device_count, 0)


# ------------------------------------------------------------------------------------------------------------- jobs


def exported(text):
    """The lines of an exported blob by (device, module)."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {(line["id"], line.get("moduleId")): line for line in lines}


@operation("jobs - export")
def _():
    job = jobs.create_import_export_job(
        JobProperties(type="export", output_blob_container_uri=output_container, exclude_keys_in_export=False)
    )
    holds(job.job_id, "the job has no id")
    equal((job.type, job.exclude_keys_in_export), ("export", False))
    done = finished(jobs, job.job_id)
    equal((done.status, done.progress, done.failure_reason), ("completed", 100, None))
    holds(done.end_time_utc >= done.start_time_utc, "it ended before it began")
    lines = exported(read_blob(output_container, "devices.txt"))
    equal(len([key for key in lines if key[1] is None]), len(registry.get_devices()))
    equal(lines[("sas", None)]["authentication"]["symmetricKey"]["primaryKey"], KEY_2)
    equal(lines[("sas", None)]["tags"], {"only": "this"})
    holds(("x509", "m1") in lines, "the module is missing")


@operation("jobs - export without keys, into a blob of another name")
def _():
    job = jobs.create_import_export_job(
        JobProperties(
            type="export",
            output_blob_container_uri=output_container,
            output_blob_name="without-keys.txt",
            exclude_keys_in_export=True,
        )
    )
    equal(finished(jobs, job.job_id).status, "completed")
    text = read_blob(output_container, "without-keys.txt")
    holds(KEY_2 not in text, "there is a key in the blob")
    equal(exported(text)[("sas", None)]["authentication"], None)


@operation("jobs - import, with an error log")
def _():
    lines = [
        {"id": "imported", "status": "enabled", "importMode": "create", "tags": {"by": "job"}},
        {"id": "x509", "status": "enabled", "importMode": "create"},
        {"id": "bulk-005", "status": "enabled", "importMode": "delete"},
    ]
    write_blob(input_container, "some.txt", "\r\n".join(json.dumps(line) for line in lines))
    job = jobs.create_import_export_job(
        JobProperties(
            type="import",
            input_blob_container_uri=input_container,
            input_blob_name="some.txt",
            output_blob_container_uri=output_container,
        )
    )
    equal(finished(jobs, job.job_id).status, "completed")
    equal(registry.get_twin("imported").tags, {"by": "job"})
    refused(404, "DeviceNotFound", lambda: registry.get_device("bulk-005"))
    log = [json.loads(line) for line in read_blob(output_container, "importErrors.log").splitlines() if line]
    equal([entry["errorCode"] for entry in log], [409001])
    equal(log[0]["deviceId"], "x509")


@operation("jobs - list")
def _():
    listed = jobs.get_import_export_jobs()
    equal(sorted(job.type for job in listed), ["export", "export", "import"])
    equal({job.status for job in listed}, {"completed"})


@operation("jobs - refuse an import without its blob, a container without a signature, and an unknown id")
def _():
    create = jobs.create_import_export_job
    missing = JobProperties(
        type="import",
        input_blob_container_uri=input_container,
        input_blob_name="missing.txt",
        output_blob_container_uri=output_container,
    )
    refused(400, "BlobContainerValidationError", lambda: create(missing))
    unsigned = JobProperties(type="export", output_blob_container_uri=output_container.split("?")[0])
    refused(400, "BlobContainerValidationError", lambda: create(unsigned))
    refused(404, "JobNotFound", lambda: jobs.get_import_export_job("nothing"))


@operation("jobs - cancel, and refuse a second one meanwhile")
def _():
    manager = IoTHubJobManager.from_connection_string(slow_hub)
    export = JobProperties(type="export", output_blob_container_uri=output_container)
    job = manager.create_import_export_job(export)
    refused(403, "JobQuotaExceeded", lambda: manager.create_import_export_job(export))
    equal(manager.get_import_export_job(job.job_id).status, "enqueued")
    manager.cancel_import_export_job(job.job_id)
    equal(finished(manager, job.job_id).status, "cancelled")


# -------------------------------------------------------------------------------------------------- who may do what


@operation("access - a wrong key is refused")
def _():
    wrong = hub.split("SharedAccessKey=")[0] + f"SharedAccessKey={KEY_1}"
    stranger = IoTHubRegistryManager.from_connection_string(wrong)
    refused(401, "IotHubUnauthorizedAccess", lambda: stranger.get_device("sas"))


@operation("access - a policy that may only read the registry")
def _():
    limited = IoTHubRegistryManager.from_connection_string(reader)
    equal(limited.get_device("sas").device_id, "sas")
    refused(401, "IotHubUnauthorizedAccess", lambda: limited.delete_device("sas"))
    refused(401, "IotHubUnauthorizedAccess", lambda: limited.get_twin("sas"))


class Credential:
    """A credential that has its token already; to the client one like those of Microsoft Entra ID."""

    def __init__(self, variable):
        self.token = os.environ[variable]

    def get_token(self, *scopes, **_):
        equal(scopes, ("https://iothubs.azure.net/.default",))
        return AccessToken(self.token, int(time.time()) + 3600)


@operation("access - a bearer token with every right")
def _():
    manager = IoTHubRegistryManager.from_token_credential(host, Credential("CONTRIBUTOR_TOKEN"))
    equal(manager.get_device("sas").device_id, "sas")
    equal(manager.get_twin("sas").tags, {"only": "this"})
    # Not so under a shared access signature: the device is disabled.
    equal(manager.get_modules("sas"), [])


@operation("access - a bearer token that may only read")
def _():
    manager = IoTHubRegistryManager.from_token_credential(host, Credential("READER_TOKEN"))
    equal(manager.get_device("sas").device_id, "sas")
    refused(401, "IotHubUnauthorizedAccess", lambda: manager.delete_device("sas"))


# ----------------------------------------------------------------------------------------------- when requests fail


@operation("faults - a GET that is answered 503 is repeated by the client, a query is not")
def _():
    before = count("GET /devices/{id}")
    add_fault(kind="status", status=503, route="GET /devices/{id}")
    equal(registry.get_device("sas").device_id, "sas")
    equal(count("GET /devices/{id}"), before + 2)
    add_fault(kind="status", status=503, route="POST /devices/query")
    refused(503, "ServiceUnavailable", lambda: query("SELECT * FROM devices"))


@operation("faults - a 429 is not repeated by the client")
def _():
    add_fault(kind="status", status=429, route="GET /devices/{id}")
    refused(429, "ThrottlingBacklogTimeout", lambda: registry.get_device("sas"))


@operation("faults - a create whose reply is lost is repeated by the client, and so refused")
def _():
    add_fault(kind="loseReply", route="PUT /devices/{id}")
    create = registry.create_device_with_sas
    refused(409, "DeviceAlreadyExists", lambda: create("twice", KEY_1, KEY_2, "enabled"))
    equal(registry.get_device("twice").status, "enabled")


# --------------------------------------------------------------------------------------------------------- the rest


@operation("commands - purge the queue of a device")
def _():
    purged = registry.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue("sas")
    equal((purged.device_id, purged.total_messages_purged), ("sas", 0))


@operation("left out - scheduled jobs and direct methods are refused with an error that the client understands")
def _():
    job = JobRequest(job_id="later", type="scheduleUpdateTwin", query_condition="*")
    refused(400, "InvalidOperation", lambda: jobs.create_scheduled_job("later", job))
    method = CloudToDeviceMethod(method_name="reboot", payload={})
    refused(400, "InvalidOperation", lambda: registry.invoke_device_method("sas", method))


sys.exit(1 if run_all() else 0)
