#!/usr/bin/python3
"""Reads metrics from standard input with Prometheus' own parser, and checks that a Grafana dashboard asks for nothing else.

Usage: check_metrics.py DASHBOARD. Prints each sample as NAME{LABELS} VALUE."""
import json
import os
import re
import sys

from prometheus_client.parser import text_string_to_metric_families

names = set()
seen = set()
for family in text_string_to_metric_families(sys.stdin.read()):
    if family.type not in ("counter", "gauge", "histogram"):
        sys.exit(f"{family.name} has no type")
    if not family.documentation:
        sys.exit(f"{family.name} is not explained")
    for sample in family.samples:
        labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
        if (sample.name, labels) in seen:
            sys.exit(f"{sample.name}{{{labels}}} is there twice")
        seen.add((sample.name, labels))
        names.add(sample.name)
        print(f"{sample.name}{{{labels}}} {sample.value}")

with open(sys.argv[1], encoding="utf-8") as file:
    dashboard = json.load(file)
wanted = {name for panel in dashboard["panels"] for target in panel["targets"] for name in re.findall(r"adyton_\w+", target["expr"])}
if not os.path.exists("/proc/pressure"):  # a kernel without it
    wanted = {name for name in wanted if not name.startswith("adyton_host_pressure")}
missing = wanted - names
if missing:
    sys.exit(f"the dashboard asks for what is not there: {sorted(missing)}")
