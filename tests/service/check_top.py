#!/usr/bin/python3
"""Checks that `adyton top --json` has every sample that the metrics have, with its value.

Usage: check_top.py METRICS JSON: what a scrape gave, and what the command printed after it. Counts of the VMs must stand still."""
import json
import math
import sys

from prometheus_client.parser import text_string_to_metric_families

with open(sys.argv[2], encoding="utf-8") as file:
    top = json.load(file)
vms = {vm["info"]["name"]: vm for vm in top["vms"]}


def statistics(labels):
    return vms[labels["vm"]]["statistics"]


def queue(labels):
    device = statistics(labels)["devices"][int(labels["slot"])]
    assert device["name"] == labels["device"]
    return device["queues"][int(labels["queue"])]


def calls(labels):
    found = [c for c in top["rpc"]["calls"] if (c["vm"], c["interface"], c["method"]) ==
             (labels.get("vm"), labels["interface"], labels["method"])]
    assert len(found) == 1, "calls are there once"
    return found[0]


def bucket(labels):
    bounds = [bound / 1e9 for bound in top["rpc"]["bounds_ns"]] + [math.inf]
    limit = [i for i, bound in enumerate(bounds) if math.isclose(bound, float(labels["le"]))]
    return sum(calls(labels)["counts"][: limit[0] + 1])


def pressure(labels):
    found = [p for p in top["host_pressure"] if (p["resource"], p["kind"]) == (labels["resource"], labels["kind"])]
    return found[0]


def info(labels):
    said = vms[labels["vm"]]["info"]
    assert all(str(said[name]) == labels[name] for name in ("cid", "backend", "isolation", "state")), said
    return 1


def vcpu(name):
    return lambda labels: statistics(labels)["vcpus"][int(labels["vcpu"])][name]


def build(labels):
    assert top["service"]["version"] == labels["version"]
    return 1


ANY, GROWS = "any", "grows"  # what may differ between the two; all else is the same
SAMPLES = {
    "adyton_build_info": build,
    "adyton_vms": lambda labels: top["service"]["vms"],
    "adyton_clients": (ANY, lambda labels: top["service"]["clients"]),
    "adyton_service_resident_bytes": (ANY, lambda labels: top["service"]["resident_bytes"]),
    "adyton_vm_info": info,
    "adyton_vm_up": lambda labels: int("statistics" in vms[labels["vm"]]),
    "adyton_vm_vcpus": lambda labels: vms[labels["vm"]]["info"]["cpus"],
    "adyton_vm_memory_bytes": lambda labels: vms[labels["vm"]]["info"]["memory_bytes"],
    "adyton_vm_resident_bytes": (ANY, lambda labels: vms[labels["vm"]]["info"]["resident_bytes"]),
    "adyton_vm_uptime_seconds": (GROWS, lambda labels: vms[labels["vm"]]["info"]["uptime_ms"] / 1000),
    "adyton_vm_cpu_seconds_total": (GROWS, lambda labels: vms[labels["vm"]]["info"]["cpu_time_ms"] / 1000),
    "adyton_vm_thread_cpu_seconds_total":
        (GROWS, lambda labels: statistics(labels)["thread_cpu_time_ms"][labels["thread"]] / 1000),
    "adyton_vcpu_exits_total": lambda labels: vcpu("exits." + labels["reason"])(labels),
    "adyton_vsock_bytes_total": lambda labels: statistics(labels)["vsock"]["bytes_" + labels["direction"]],
    "adyton_vm_balloon_target_bytes": lambda labels: statistics(labels)["balloon"]["target"],
    "adyton_vm_balloon_bytes": lambda labels: statistics(labels)["balloon"]["actual"],
    "adyton_vm_returned_bytes_total": lambda labels: statistics(labels)["balloon"]["returned"],
    "adyton_virtio_interrupts_total": lambda labels: statistics(labels)["devices"][int(labels["slot"])]["interrupts"],
    "adyton_virtqueue_kicks_total": lambda labels: queue(labels)["kicks"],
    "adyton_virtqueue_chains_total": lambda labels: queue(labels)["chains"],
    "adyton_virtqueue_bytes_total": lambda labels: queue(labels)["bytes_" + labels["direction"]],
    "adyton_rpc_latency_seconds_bucket": (GROWS, bucket),
    "adyton_rpc_latency_seconds_count": (GROWS, lambda labels: calls(labels)["count"]),
    "adyton_rpc_latency_seconds_sum": (GROWS, lambda labels: calls(labels)["time_ns"] / 1e9),
    "adyton_rpc_failures_total": (GROWS, lambda labels: calls(labels)["failures"]),
    "adyton_host_pressure_ratio": (ANY, lambda labels: pressure(labels)["share"]),
    "adyton_host_pressure_stalled_seconds_total": (GROWS, lambda labels: pressure(labels)["stalled_us"] / 1e6),
}
for count in ("interrupts", "table_walks", "tlb_refills", "translated_blocks", "translated_instructions"):
    SAMPLES[f"adyton_vcpu_{count}_total"] = vcpu(count)
for count in ("code_bytes", "code_capacity_bytes", "code_flushes"):
    SAMPLES[f"adyton_vm_{count}" + ("_total" if count == "code_flushes" else "")] = (
        lambda labels, name=count: statistics(labels)["counts"][name])
for count in ("free", "available", "total", "caches"):
    SAMPLES[f"adyton_guest_memory_{count}_bytes"] = lambda labels, name=count: statistics(labels)["balloon"]["guest_" + name]
for count, kind in (("connections", ""), ("opened", "_total"), ("refused", "_total")):
    SAMPLES[f"adyton_vsock_{count}{kind}"] = lambda labels, name=count: statistics(labels)["vsock"][name]

problems = []
compared = 0
with open(sys.argv[1], encoding="utf-8") as file:
    families = list(text_string_to_metric_families(file.read()))
for family in families:
    for sample in family.samples:
        where = f"{sample.name}{sample.labels}"
        how = SAMPLES.get(sample.name)
        if how is None:
            problems.append(f"{where}: nothing in the JSON is known to be it")
            continue
        differs, value = how if isinstance(how, tuple) else (None, how)
        try:
            said = value(sample.labels)
        except (KeyError, IndexError, AssertionError) as error:
            problems.append(f"{where}: the JSON lacks it ({error!r})")
            continue
        compared += 1
        equal = math.isclose(said, sample.value, abs_tol=1e-9)
        if not equal and differs is None or differs == GROWS and said < sample.value and not equal:
            problems.append(f"{where}: {sample.value}, the JSON says {said}")
if problems:
    sys.exit("\n".join(problems))
print(f"{compared} samples of {len(families)} families")
