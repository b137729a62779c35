#!/usr/bin/python3
"""Reads metrics from standard input with Prometheus' own parser, and checks that their documentation names these families with
these labels and no others, and that a Grafana dashboard asks for nothing else.

Usage: check_metrics.py DASHBOARD DOCUMENTATION. Prints each sample as NAME{LABELS} VALUE."""
import json
import os
import re
import sys

from prometheus_client.parser import text_string_to_metric_families

problems = []
labels_of = {}  # of samples, by their name
families = {}  # labels, by the family's name as it is written
helps = {}
seen = set()
for family in text_string_to_metric_families(sys.stdin.read()):
    written = family.name + ("_total" if family.type == "counter" else "")
    if family.type not in ("counter", "gauge", "histogram"):
        problems.append(f"{written} has no type")
    if not family.documentation:
        problems.append(f"{written} is not explained")
    if family.documentation in helps:
        problems.append(f"{written} is explained as {helps[family.documentation]} is")
    if re.match(r"the same\b|what the vm's backend counts as", family.documentation, re.I):
        problems.append(f"{written} has no explanation of its own: {family.documentation}")
    helps[family.documentation] = written
    families[written] = set()
    for sample in family.samples:
        labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
        if (sample.name, labels) in seen:
            problems.append(f"{sample.name}{{{labels}}} is there twice")
        seen.add((sample.name, labels))
        labels_of.setdefault(sample.name, set()).update(sample.labels)
        families[written].update(set(sample.labels) - {"le"})
        print(f"{sample.name}{{{labels}}} {sample.value}")

absent = "adyton_host_pressure" if not os.path.exists("/proc/pressure") else "\0"  # a kernel without it

# ---- the documentation: a table of families and labels
documented = {}
with open(sys.argv[2], encoding="utf-8") as file:
    for line in file:
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) < 5 or not cells[1].startswith("`adyton_"):
            continue
        for name in re.findall(r"`(\w+)`", cells[1]):
            documented[name] = {label.strip() for label in cells[2].split(",")} - {""}
for name in sorted(families.keys() - documented.keys()):
    problems.append(f"{name} is not documented")
for name in sorted(documented.keys() - families.keys()):
    if not name.startswith(absent):
        problems.append(f"{name} is documented, but not there")
for name in sorted(documented.keys() & families.keys()):
    if documented[name] != families[name]:
        problems.append(f"{name} has the labels {sorted(families[name])}, its documentation says {sorted(documented[name])}")

# ---- the dashboard
with open(sys.argv[1], encoding="utf-8") as file:
    dashboard = json.load(file)
variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def known(name, where):
    if name in labels_of:
        return labels_of[name]
    if not name.startswith(absent):
        problems.append(f"{where}: there is no {name}")
    return None


def check_query(where, expression, legend):
    for variable in re.findall(r"\$(\w+)", expression):
        if variable not in variables and variable != "__rate_interval":
            problems.append(f"{where}: there is no variable ${variable}")
    if expression.count("(") != expression.count(")") or expression.count("{") != expression.count("}"):
        problems.append(f"{where}: brackets do not match: {expression}")
    grouped = [label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")]
    asked = re.findall(r"(adyton_\w+)(?:\{([^}]*)\})?", expression)
    if not asked:
        problems.append(f"{where}: asks for no metric: {expression}")
    for name, matchers in asked:
        labels = known(name, where)
        if labels is None:
            continue
        matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)
        # What a query groups away cannot be in its legend.
        shown = re.findall(r"\{\{(\w+)\}\}", legend)
        for label in matched + grouped + (shown if not grouped else []):
            if label not in labels:
                problems.append(f"{where}: {name} has no label {label}")
        for label in shown if grouped else []:
            if label not in grouped:
                problems.append(f"{where}: its legend shows {label}, which the query does not keep")
        if ("histogram_quantile(" in expression) != name.endswith("_bucket"):
            problems.append(f"{where}: quantiles are of buckets: {expression}")
        if name.endswith(("_total", "_count", "_sum", "_bucket")) and f"rate({name}" not in expression:
            problems.append(f"{where}: {name} only grows, its rate is of interest")


for panel in dashboard["panels"]:
    for target in panel.get("targets", []):
        check_query(panel["title"], target["expr"], target.get("legendFormat", ""))
for name, variable in variables.items():
    if variable["type"] != "query":
        continue
    values = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
    if not values:
        problems.append(f"${name}: {variable['query']['query']} is no query for values of a label")
    elif values.group(2) not in (known(values.group(1), f"${name}") or ()):
        problems.append(f"${name}: {values.group(1)} has no label {values.group(2)}")

if problems:
    sys.exit("\n".join(problems))
