"""Checks of alerts and dashboards, with promtool (Debian's package prometheus).

Rules: `promtool check rules`, `promtool test rules`, and a test of each alert: the tests fail when it is left out, and when its `for` is
half as long or half as long again. Each has a section of docs/operations/runbook.md, and only alerts of a dependency have its label.

Dashboards: the parts of Grafana's schema that we use; each panel has a unit and a description; its queries parse. Grafana itself is not run.

Both name only metrics of docs/operations/metrics.md, and dashboards and tests only rules that exist.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

HERE = pathlib.Path(__file__).parent
RULES = sorted((HERE / "postern/rules").glob("*.yaml"))
TESTS = sorted((HERE / "rule-tests").glob("*.yaml"))
DASHBOARDS = sorted((HERE / "postern/dashboards").glob("*.json"))
DOCS = HERE.parent / "docs/operations"

# Alerts that name a dependency: no other alert has the label.
DEPENDENCIES = ["Redis", "Postgres", "Platform", "Smtp", "Sms", "Jwks"]

findings = []


def report(where, what):
    findings.append(f"{where}: {what}")


def main():
    groups = {path: yaml.safe_load(path.read_text())["groups"] for path in RULES}
    rules = [rule for path in RULES for group in groups[path] for rule in group["rules"]]
    alerts = [rule for rule in rules if "alert" in rule]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    documented = documented_metrics()
    status, output = promtool("check", "rules", "--lint-fatal", *RULES)
    if status:
        report("promtool check rules", output)
    check_alerts(alerts)
    for rule in rules:
        check_metrics(rule.get("alert", rule.get("record")), rule["expr"], documented | recorded)
    check_tests(groups)
    panels = [query for path in DASHBOARDS for query in check_dashboard(path)]
    queries = panels + queries_in_docs()
    for where, query in queries:
        check_metrics(where, query, documented | recorded)
    check_queries(queries)

    if findings:
        print("\n".join(findings), file=sys.stderr)
        sys.exit(f"{len(findings)} findings in rules and dashboards")
    names = {alert["alert"] for alert in alerts}
    print(f"{len(names)} alerts and {len(panels)} queries of {len(DASHBOARDS)} dashboards are valid")


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=600)
    return done.returncode, (done.stdout + done.stderr).strip()


# Alerts


def check_alerts(alerts):
    runbook = (DOCS / "runbook.md").read_text()
    sections = set(re.findall(r"^### (\w+)$", runbook, re.MULTILINE))
    names = {alert["alert"] for alert in alerts}
    for name in sorted(sections ^ names):
        report("runbook.md", f"{name} is {'no alert' if name in sections else 'not described'}")
    for section in re.split(r"^### ", runbook, flags=re.MULTILINE)[1:]:
        for part in ("**Symptom.**", "**Check.**", "**Remedy.**"):
            if part not in section:
                report("runbook.md", f"{section.split()[0]}: no {part}")
    expected = {f"Postern{part}{kind}" for part in DEPENDENCIES for kind in ("Slow", "Unavailable")}
    for name in sorted(expected - names):
        report("rules", f"{name} is missing")
    for alert in alerts:
        name, annotations = alert["alert"], alert.get("annotations", {})
        if annotations.get("runbook_url") != f"docs/operations/runbook.md#{name.lower()}":
            report(name, "its runbook_url is not that of its section")
        if not annotations.get("summary"):
            report(name, "no summary")
        if alert["labels"].get("severity") not in ("critical", "warning"):
            report(name, "its severity is neither critical nor warning")
        if ("dependency" in alert["expr"]) != (name in expected):
            report(name, "the label `dependency` is of the alerts of dependencies, and of no other")


def check_tests(groups):
    """All tests pass, and each alert's tests fail without it, and with another `for`."""
    for path in TESTS:
        status, output = promtool("test", "rules", path)
        if status:
            report(f"promtool test rules {path.name}", output)
    if findings:
        return
    changes = {"it is left out": left_out, "its `for` is halved": times(0.5), "its `for` is half as long again": times(1.5)}
    # Of two alerts of one name, as of an error budget, one at a time.
    runs = [(severity, what) for severity in ("critical", "warning") for what in changes]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda run: failing_alerts(groups, run[0], changes[run[1]]), runs))
    for (severity, what), failed in zip(runs, results):
        for path in RULES:
            for alert in alerts_of(groups[path], severity):
                if alert["alert"] not in failed and (changes[what] is left_out or "for" in alert):
                    report(path.name, f"{alert['alert']} ({severity}): no alert_rule_test fails when {what}")


def alerts_of(groups, severity):
    return [rule for group in groups for rule in group["rules"] if rule.get("labels", {}).get("severity") == severity]


def left_out(alert):
    return {**alert, "expr": f"({alert['expr']}) and vector(0) > 1"}


def times(factor):
    def change(alert):
        return {**alert, "for": f"{int(seconds(alert['for']) * factor)}s"} if "for" in alert else alert

    return change


def seconds(duration):
    return sum(int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))


def failing_alerts(groups, severity, change):
    """Names in failed `alert_rule_test`s, with all alerts of this severity changed."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "rules").mkdir()
        for path in RULES:
            changed = [
                {**group, "rules": [change(rule) if rule.get("labels", {}).get("severity") == severity else rule for rule in group["rules"]]}
                for group in groups[path]
            ]
            (folder / "rules" / path.name).write_text(yaml.safe_dump({"groups": changed}))
        failed = set()
        for path in TESTS:
            tests = yaml.safe_load(path.read_text())
            tests["rule_files"] = [f"rules/{pathlib.Path(file).name}" for file in tests["rule_files"]]
            # Only alert_rule_tests name the alert that failed.
            tests["tests"] = [{**test, "promql_expr_test": []} for test in tests["tests"] if "alert_rule_test" in test]
            if tests["tests"]:
                (folder / path.name).write_text(yaml.safe_dump(tests))
                failed |= set(re.findall(r"alertname: (\w+), time", promtool("test", "rules", folder / path.name)[1]))
        return failed


# Metrics

FUNCTIONS_AND_KEYWORDS = set("and or unless by without on ignoring group_left group_right offset bool inf nan".split())
LABEL_LIST = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")


def documented_metrics():
    """Metrics in the first column of the tables, and the series of histograms."""
    names = set(re.findall(r"^\| `(\w+)`", (DOCS / "metrics.md").read_text(), re.MULTILINE))
    return names | {name + part for name in names if name.endswith("_seconds") for part in ("_bucket", "_count", "_sum")}


def check_metrics(where, query, known):
    text = re.sub(r'"(\\.|[^"\\])*"', '""', query)
    text = LABEL_LIST.sub(" ", re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text))
    for name, call in re.findall(r"\b([a-zA-Z_:][\w:]*)\b(\s*\()?", text):
        is_duration = re.fullmatch(r"[smhdwy]|ms", name)
        if not call and name.lower() not in FUNCTIONS_AND_KEYWORDS and not is_duration and name not in known:
            report(where, f"{name} is no rule, and not described in metrics.md")


# Dashboards

UNITS = set("short none percentunit percent s ms bytes dateTimeFromNow cps reqps ops cores bool_on_off bool_yes_no".split())
PANELS = {"timeseries", "stat", "table", "bargauge"}


def check_dashboard(path):
    """Queries of the dashboard, each with its position."""
    dashboard = json.loads(path.read_text())
    if dashboard.get("uid") != f"postern-{path.stem}":
        report(path.name, f"its uid is not postern-{path.stem}")
    for key in ("title", "description", "tags", "schemaVersion", "time", "refresh"):
        if not dashboard.get(key):
            report(path.name, f"no {key}")
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    if variables.get("datasource", {}).get("type") != "datasource" or variables["datasource"].get("query") != "prometheus":
        report(path.name, "no variable of the datasource")
    ids, cells = set(), set()
    for panel in dashboard["panels"]:
        where = f"{path.name}: {panel.get('title')}"
        if panel["id"] in ids:
            report(where, "its id is taken")
        ids.add(panel["id"])
        position = panel["gridPos"]
        area = {(x, y) for x in range(position["x"], position["x"] + position["w"]) for y in range(position["y"], position["y"] + position["h"])}
        if area & cells or position["x"] + position["w"] > 24:
            report(where, "lies over another panel or beyond the edge")
        cells |= area
        if panel["type"] == "row":
            continue
        if panel["type"] not in PANELS:
            report(where, f"{panel['type']} is no type of ours")
        if not panel.get("title") or not str(panel.get("description", "")).endswith("."):
            report(where, "a panel has a title and a sentence as description")
        if panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
            report(where, "a panel has a unit of Grafana's")
        letters = set()
        for target in panel["targets"]:
            yield from check_target(where, panel, target, variables)
            if target["refId"] in letters:
                report(where, f"{target['refId']} is used twice")
            letters.add(target["refId"])


def check_target(where, panel, target, variables):
    for source in (panel.get("datasource", {}), target.get("datasource", panel.get("datasource", {}))):
        if source != {"type": "prometheus", "uid": "${datasource}"}:
            report(where, "its datasource is not the variable")
    query = target["expr"]
    if not target.get("legendFormat"):
        report(where, "a query has a legend")
    for name in re.findall(r"\$\{?(\w+)\}?", query):
        if name not in variables and name not in ("__rate_interval", "__range", "__interval"):
            report(where, f"there is no variable {name}")
    yield where, re.sub(r"\$\{?(__\w+)\}?", "5m", query).replace("$namespace", ".*").replace("$instance", ".*")


def queries_in_docs():
    """Queries in blocks of the language promql, separated by empty lines."""
    queries = []
    for path in sorted(DOCS.glob("*.md")):
        for block in re.findall(r"^```promql\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            queries += [(path.name, re.sub(r"#.*", "", query).strip()) for query in block.split("\n\n")]
    return queries


def check_queries(queries):
    """Parses all queries, as those of one file of rules."""
    rules = [{"record": f"query:{number}", "expr": query} for number, (_, query) in enumerate(queries)]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "queries.yaml"
        path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
        status, output = promtool("check", "rules", "--lint=none", path)
    if status:
        numbers = {f"rule {number + 1}": where for number, (where, _) in enumerate(queries)}
        report("queries", re.sub(r"rule \d+", lambda found: numbers.get(found[0], found[0]), output))


if __name__ == "__main__":
    main()
