"""Statistics and tables of the benchmark tools."""
import math
import statistics


def better_is_more(unit):
    return unit == "MB/s"


class Row:
    """One benchmark: samples of each system."""

    def __init__(self, name, unit):
        self.name, self.unit = name, unit
        self.samples = {}

    def add(self, system, value):
        self.samples.setdefault(system, []).append(value)

    def median(self, system):
        values = self.samples.get(system)
        return statistics.median(values) if values else None

    def ratio(self, ours="adyton"):
        """How many times as good `ours` is as the best of the others; above 1 is better. None when a side is missing."""
        mine = self.median(ours)
        others = [self.median(system) for system in self.samples if system != ours]
        if not mine or not others or not min(others):
            return None
        return mine / max(others) if better_is_more(self.unit) else min(others) / mine


def samples(rows):
    """Everything that was measured, for --json."""
    return {row.name: {"unit": row.unit, "samples": row.samples, "ratio": row.ratio()} for row in rows}


def geomean(ratios):
    ratios = [ratio for ratio in ratios if ratio]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None


def number(value):
    if value is None:
        return "-"
    if value >= 1e6:
        return f"{value:.3g}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(row, system, spread=True):
    values = row.samples.get(system)
    if not values:
        return "-"
    text = number(row.median(system))
    return f"{text} ({number(min(values))}..{number(max(values))})" if spread and len(values) > 1 else text


def ratio_text(ratio):
    return f"{ratio:.2f}x" if ratio else "-"


def print_table(header, rows, markdown):
    rows = [[str(field) for field in row] for row in rows]
    if markdown:
        print("| " + " | ".join(header) + " |")
        print("|" + "|".join(["---"] + ["---:"] * (len(header) - 1)) + "|")
        for row in rows:
            print("| " + " | ".join(row) + " |")
        return
    header = [field.replace("`", "") for field in header]
    widths = [max(len(row[i]) for row in [header] + rows) for i in range(len(header))]
    for row in [header] + rows:
        fields = [row[0].ljust(widths[0])] + [field.rjust(width) for field, width in zip(row[1:], widths[1:])]
        print("  ".join(fields).rstrip())
